// Follows streams, and reports each event that the user of a client library sees: channel, type, id, data. The test puts
// this file into a page as well, so it imports nothing.

/** Returns a function that reports events in order, by requests to the test. */
export function reporter(reports) {
  let reported = Promise.resolve()
  return (...event) => {
    const request = { method: 'POST', mode: 'no-cors', body: JSON.stringify(event) }
    reported = reported.then(() => fetch(reports, request))
  }
}

/** Follows channels with a class that has the interface of the browsers' EventSource. */
export function follow(EventSource, server, channels, report) {
  for (const channel of channels) {
    const source = new EventSource(`${server}/sse/${channel}`)
    for (const type of ['position', 'reset', 'message']) {
      source.addEventListener(type, (event) => report(channel, event.type, event.lastEventId, event.data))
    }
  }
}

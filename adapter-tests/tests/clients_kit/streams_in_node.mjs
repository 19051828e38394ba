// usage: node streams_in_node.mjs LIBRARY SERVER REPORTS CHANNEL...
import { follow, reporter } from './streams.mjs'

const [library, server, reports, ...channels] = process.argv.slice(2)
const report = reporter(reports)
const { EventSource, fetchEventSource } = await import(library)

/** Follows channels with @microsoft/fetch-event-source, which was written for browsers. */
function followByFetch() {
  globalThis.window = globalThis
  globalThis.document = new EventTarget()
  for (const channel of channels) {
    fetchEventSource(`${server}/sse/${channel}`, {
      onmessage: ({ event, id, data }) => report(channel, event || 'message', id, data),
      // The library reconnects after an error, and not after the end of a stream.
      onclose() {
        throw new Error('the stream ended')
      },
      onerror() {},
    })
  }
}

if (EventSource) {
  follow(EventSource, server, channels, report)
} else {
  followByFetch()
}

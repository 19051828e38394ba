// Follows a stream with the package eventsource until it gives up, and prints how many messages came, and the last one.
import { EventSource } from 'eventsource-3'

const source = new EventSource(process.argv[2])
const data = []
source.onmessage = (event) => data.push(event.data)
source.onerror = () => {
  if (source.readyState === EventSource.CLOSED) console.log(JSON.stringify([data.length, data.at(-1)]))
}

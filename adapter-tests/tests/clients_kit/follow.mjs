// Follows a stream with the package eventsource, which reconnects by itself, and prints each event as a line of JSON.
import { EventSource } from 'eventsource-3'

new EventSource(process.argv[2]).onmessage = (event) => console.log(JSON.stringify({ id: event.lastEventId, data: event.data }))

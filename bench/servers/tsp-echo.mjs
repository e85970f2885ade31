// Sends back what comes by TSP, sealed and plain. `node bench/servers/tsp-echo.mjs DIST`; the first line of stdout says who it is.
import { openTspHop } from '../lib/tsp-hop.mjs'

const { long, plain } = await openTspHop(process.argv[2], {
  hear: ({ from, data }, endpoint) => void endpoint.send(from, data),
  hearPlain(message, carriage) {
    const end = message.indexOf(' ')
    void carriage.carry(new URL(message.subarray(0, end).toString()), message)
  },
})
process.stdout.write(`${JSON.stringify({ long, plain })}\n`)

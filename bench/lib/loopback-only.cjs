// Preloaded into the peers from npm: they listen on 127.0.0.1 even where they have no option for it, and names other than
// localhost do not resolve, so that none of them looks for an update while it is measured.
const dns = require('node:dns')
const net = require('node:net')

const { listen } = net.Server.prototype
net.Server.prototype.listen = function listenOnLoopback(where, ...rest) {
  const port = typeof where === 'object' ? where.port : where
  const listening = rest.filter((argument) => typeof argument === 'function')
  return listen.call(this, { port, host: '127.0.0.1' }, ...listening)
}

const { lookup } = dns
dns.lookup = (name, options, callback) => {
  if (name === 'localhost' || net.isIP(name)) return lookup(name, options, callback)
  const answer = callback ?? options
  const error = Object.assign(new Error(`blocked by the bench: ${name}`), { code: 'ENOTFOUND' })
  return process.nextTick(answer, error)
}

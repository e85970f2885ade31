// Preloaded where memory is measured: on SIGUSR2 the process collects its garbage, so that what is then read is what its sessions
// hold on to, and not what V8 has not yet tidied away.
const v8 = require('node:v8')
const vm = require('node:vm')

v8.setFlagsFromString('--expose-gc')
const collect = vm.runInNewContext('gc')
process.on('SIGUSR2', () => collect())

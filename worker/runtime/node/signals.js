// Signals of the process. Real ones end the run, but for those that a listener of `process` waits for: the supervisor sends them as bytes
// (worker/guest/signal_reader.h), and gives the guest its time of grace. What a guest sends to itself does not leave it.
import { codedError } from '../core/coded_error.js';
import { reportError } from '../core/events.js';
import { part } from '../core/lazy_part.js';
import { process, processEmit, processListens } from './process.js';
import { setImmediate } from '../core/timers.js';

const kNotTold = ['SIGCHLD', 'SIGCONT', 'SIGPIPE', 'SIGURG', 'SIGUSR1', 'SIGWINCH']; // what nobody listens for is nothing, as in Node
const kStops = ['SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU'];
const kExitOfSignal = 128; // and its number, as a shell shows it

const numbers = () => part('node').nodeModule('os').constants.signals;

/** What a signal does that has come. @param {string} name @param {number} number */
function take(name, number) {
  if (!processListens(name)) {
    if (!kNotTold.includes(name)) native.exit(kExitOfSignal + number);
    return;
  }
  try {
    processEmit(name, name, number);
  } catch (error) {
    reportError(error);
  }
}
/** Called by the event loop. @param {number} number */
export function processSignal(number) {
  take(number === 2 ? 'SIGINT' : 'SIGTERM', number);
}

/** process.kill: sends a signal to the guest itself: there is nobody else. @param {any} pid @param {any} [signal] a name or a number; 0 only asks whether there is such a process */
function kill(pid, signal) {
  // eslint-disable-next-line eqeqeq
  if (pid != (pid | 0))
    throw new (part('node').load('internal/errors').codes.ERR_INVALID_ARG_TYPE)('pid', 'number', pid);
  const known = numbers();
  const name = signal === (signal | 0) ? Object.keys(known).find((each) => known[each] === signal) : signal || 'SIGTERM';
  const fail = (/** @type {string} */ code, /** @type {number} */ errno) => {
    throw Object.assign(new Error(`kill ${code}`), { errno, code, syscall: 'kill' });
  };
  if (name === undefined && signal !== 0) fail('EINVAL', -22);
  if (signal !== 0 && known[name] === undefined)
    throw codedError('ERR_UNKNOWN_SIGNAL', `Unknown signal: ${name}`, TypeError);
  if (Math.abs(Number(pid)) > 1) fail('ESRCH', -3);
  if (signal === 0) return true;
  if (kStops.includes(name))
    throw codedError('ERR_NOT_AVAILABLE', `process.kill with ${name} is not available: nobody could let the guest go on`);
  if (name === 'SIGKILL') native.exit(kExitOfSignal + known[name]);
  if (processListens(name)) setImmediate(() => take(name, known[name]));
  else take(name, known[name]);
  return true;
}

/** @type {any} */ (process).kill = kill;

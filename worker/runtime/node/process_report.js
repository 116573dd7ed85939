// process.report: what a guest may know of itself, in the shape of Node's diagnostic report (its version 5). Programs look there for the
// C library's version (detect-libc). Nothing of the machine is in it.
import { codedError } from '../core/coded_error.js';

/** @param {any} process */
export function makeReport(process) {
  const settings = {
    compact: false,
    directory: '',
    excludeEnv: false,
    excludeNetwork: true,
    filename: '',
    reportOnFatalError: false,
    reportOnSignal: false,
    reportOnUncaughtException: false,
    signal: 'SIGUSR2',
  };
  return {
    ...settings,
    /** @param {any} [error] whose stack is told */
    getReport(error = new Error('JavaScript Callstack')) {
      if (typeof error !== 'object' || error === null)
        throw codedError('ERR_INVALID_ARG_TYPE', 'The "err" argument must be of type object.', TypeError);
      const [usedMemory, totalMemory, , memoryLimit] = native.heapUse();
      const [message, ...stack] = `${error.stack ?? error.message ?? 'No stack.'}`.split('\n');
      const now = new Date();
      return {
        header: {
          reportVersion: 5,
          event: 'JavaScript API',
          trigger: 'GetReport',
          filename: null,
          dumpEventTime: now.toISOString().replace(/\.\d+/, ''),
          dumpEventTimeStamp: `${now.getTime()}`,
          processId: process.pid,
          threadId: 0,
          cwd: process.cwd(),
          commandLine: process.argv.slice(),
          nodejsVersion: process.version,
          glibcVersionRuntime: native.libcVersion(),
          glibcVersionCompiler: native.libcVersion(),
          wordSize: 64,
          arch: process.arch,
          platform: process.platform,
          componentVersions: { ...process.versions },
          release: { ...process.release },
          osName: 'Linux',
          osRelease: '',
          osVersion: '',
          osMachine: 'x86_64',
          cpus: [],
          networkInterfaces: [],
          host: 'localhost',
        },
        javascriptStack: { message, stack: stack.map((line) => line.trim()), errorProperties: {} },
        javascriptHeap: { totalMemory, usedMemory, memoryLimit },
        nativeStack: [],
        resourceUsage: { userCpuSeconds: process.cpuUsage().user / 1e6, kernelCpuSeconds: 0, maxRss: totalMemory },
        libuv: [],
        workers: [],
        environmentVariables: this.excludeEnv ? {} : { ...process.env },
        userLimits: {},
        sharedObjects: [],
      };
    },
    writeReport() {
      throw codedError(
        'ERR_NOT_AVAILABLE',
        'process.report.writeReport is not available: print what process.report.getReport() gives',
      );
    },
  };
}

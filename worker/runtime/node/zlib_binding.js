// internalBinding('zlib'), over the natives' codecs. "Asynchronous" work is done in a turn of its own: a guest has one thread.
import constants from 'node-constants';
import { codedError } from '../core/coded_error.js';
import { setImmediate } from '../core/timers.js';

class Codec {
  /** @param {number} mode */
  constructor(mode) {
    this.mode = mode;
    this.onerror = undefined;
    this.closed = false;
    this.state = new Uint32Array(3);
  }
  /** @param {any[]} parameters of native.codecOpen @param {Uint32Array} writeState @param {Function} callback @param {string} failed */
  open(parameters, writeState, callback, failed) {
    this.writeState = writeState;
    this.callback = callback;
    this.codec = native.codecOpen(this.mode, ...parameters);
    if (this.codec === undefined) throw codedError(failed, 'Initialization failed');
  }
  /** Whether it went well; else onerror was told. */
  step(flush, input, inputAt, inputSize, output, outputAt, outputSize) {
    const none = input === null || input === undefined;
    const error = native.codecStep(
      this.codec,
      flush,
      none ? new Uint8Array(0) : input,
      none ? 0 : inputAt,
      none ? 0 : inputSize,
      output,
      outputAt,
      outputSize,
      this.state,
    );
    this.writeState[0] = this.state[0];
    this.writeState[1] = this.state[1];
    if (error === undefined) return true;
    this.onerror(error[0], error[2], error[1]);
    return false;
  }
  write(...step) {
    setImmediate(() => {
      if (!this.closed && this.step(...step)) this.callback.call(this);
    });
  }
  writeSync(...step) {
    this.step(...step);
  }
  reset() {
    if (!native.codecReset(this.codec)) this.onerror('Failed to reset stream', -2, 'Z_STREAM_ERROR');
  }
  params(level, strategy) {
    if (!native.codecParams(this.codec, level, strategy))
      this.onerror('Failed to set parameters', -2, 'Z_STREAM_ERROR');
  }
  close() {
    this.closed = true;
    this.codec = undefined;
  }
  getAsyncId() {
    return 0;
  }
}

export const zlibConstants = constants.zlib;
export const zlibBinding = () => ({
  Zlib: class Zlib extends Codec {
    init(windowBits, level, memLevel, strategy, writeState, callback, dictionary) {
      this.open(
        [windowBits, level, memLevel, strategy, dictionary],
        writeState,
        callback,
        'ERR_ZLIB_INITIALIZATION_FAILED',
      );
    }
  },
  BrotliEncoder: class BrotliEncoder extends Codec {
    init(parameters, writeState, callback) {
      this.open([parameters], writeState, callback, 'ERR_ZLIB_INITIALIZATION_FAILED');
    }
  },
  BrotliDecoder: class BrotliDecoder extends Codec {
    init(parameters, writeState, callback) {
      this.open([parameters], writeState, callback, 'ERR_ZLIB_INITIALIZATION_FAILED');
    }
  },
  ZstdCompress: class ZstdCompress extends Codec {
    constructor() {
      super(constants.zlib.ZSTD_COMPRESS);
    }
    init(parameters, _size, writeState, callback) {
      this.open([parameters], writeState, callback, 'ERR_ZLIB_INITIALIZATION_FAILED');
    }
  },
  ZstdDecompress: class ZstdDecompress extends Codec {
    constructor() {
      super(constants.zlib.ZSTD_DECOMPRESS);
    }
    init(parameters, _size, writeState, callback) {
      this.open([parameters], writeState, callback, 'ERR_ZLIB_INITIALIZATION_FAILED');
    }
  },
  crc32: (data, value = 0) => native.crc32(typeof data === 'string' ? native.utf8Encode(data) : data, value),
});

// fs.ReadStream and fs.WriteStream.
import { process, readStdin } from './process.js';
import { load } from './loader.js';

const kPiece = 65536; // bytes

/**
 * They may be called without `new`, or on an object of a class that is made of them, and open
 * their file with a method `open` that may be replaced: graceful-fs does all of that.
 * @param {{sync: any, open: Map<number, any>, pathOf: (path: any) => import('./file_paths.js').Path}} files of fs.js: its functions, and what is open
 */
export function fileStreams({ sync, open, pathOf }) {
  const { Readable, Writable } = load('stream');

  /** What both have. @param {any} stream @param {any} path @param {any} options @param {string} flags */
  function begin(stream, path, options, flags) {
    const given = typeof options.fd === 'object' ? options.fd?.fd : options.fd;
    stream.path = path instanceof URL ? pathOf(path).text : path;
    stream.fd = given ?? null;
    stream.flags = options.flags ?? flags;
    stream.mode = options.mode ?? 0o666;
    stream.start = options.start;
    stream.pos = options.start;
    stream.autoClose = options.autoClose ?? true;
    if (given === undefined) pathOf(path);
  }
  function openFile() {
    try {
      this.fd = sync.openSync(this.path, this.flags, this.mode);
    } catch (error) {
      if (this.autoClose) this.destroy(error);
      else this.emit('error', error);
      return;
    }
    this.emit('open', this.fd);
  }
  /** Done when the file is open: whoever opens it tells by an event. */
  function construct(callback) {
    if (typeof this.fd === 'number') return callback();
    const emit = this.emit;
    this.emit = (...args) => {
      if (args[0] !== 'open' && args[0] !== 'error') return emit.apply(this, args);
      this.emit = emit;
      if (args[0] === 'error') return callback(args[1]);
      callback();
      emit.apply(this, args);
      return this.emit('ready');
    };
    try {
      if (this.open === openFile) this.fd = sync.openSync(this.path, this.flags, this.mode);
      else return void this.open();
    } catch (error) {
      this.emit = emit;
      return callback(error);
    }
    this.emit('open', this.fd);
  }
  function destroy(error, callback) {
    if (this.autoClose && open.has(this.fd)) sync.closeSync(this.fd);
    this.fd = null;
    callback(error);
  }

  function ReadStream(path, options) {
    if (!(this instanceof ReadStream)) return new ReadStream(path, options);
    const given = typeof options === 'string' ? { encoding: options } : (options ?? {});
    begin(this, path, given, 'r');
    this.end = given.end ?? Infinity;
    this.bytesRead = 0;
    if (this.start > this.end)
      throw new (load('internal/errors').codes.ERR_OUT_OF_RANGE)('start', `<= "end" (here: ${this.end})`, this.start);
    Readable.call(this, { ...given, highWaterMark: given.highWaterMark ?? kPiece, autoDestroy: this.autoClose });
  }
  Object.assign(ReadStream.prototype, {
    open: openFile,
    _construct: construct,
    _destroy: destroy,
    _read(size) {
      if (open.get(this.fd)?.standard === 0)
        return readStdin((bytes) => this.push(bytes.length === 0 ? null : Buffer.from(bytes.buffer)), size);
      try {
        const most = this.end - (this.pos ?? (this.start ?? 0) + this.bytesRead) + 1;
        const buffer = Buffer.alloc(Math.min(size, Math.max(most, 0)));
        const n = buffer.length === 0 ? 0 : sync.readSync(this.fd, buffer, 0, buffer.length, this.pos ?? null);
        if (this.pos !== undefined) this.pos += n;
        this.bytesRead += n;
        this.push(n === 0 ? null : buffer.subarray(0, n));
      } catch (error) {
        this.destroy(error);
      }
    },
    close(callback) {
      load('stream').finished(this, callback ?? (() => {}));
      this.destroy();
    },
  });

  function WriteStream(path, options) {
    if (!(this instanceof WriteStream)) return new WriteStream(path, options);
    const given = typeof options === 'string' ? { encoding: options } : (options ?? {});
    begin(this, path, given, given.start === undefined ? 'w' : 'r+');
    this.bytesWritten = 0;
    Writable.call(this, { ...given, decodeStrings: true, autoDestroy: this.autoClose });
    if (given.encoding) this.setDefaultEncoding(given.encoding);
  }
  Object.assign(WriteStream.prototype, {
    open: openFile,
    _construct: construct,
    _destroy: destroy,
    _write(chunk, _encoding, callback) {
      try {
        const n = sync.writeSync(this.fd, chunk, 0, chunk.length, this.pos);
        if (this.pos !== undefined) this.pos += n;
        this.bytesWritten += n;
      } catch (error) {
        return callback(error);
      }
      callback();
    },
    close(callback) {
      if (callback) {
        if (this.closed) return process.nextTick(callback);
        this.on('close', callback);
      }
      if (!this.autoClose) this.on('finish', this.destroy);
      this.end();
    },
  });
  for (const [Class, Base] of [
    [ReadStream, Readable],
    [WriteStream, Writable],
  ]) {
    Object.setPrototypeOf(Class, Base);
    Object.setPrototypeOf(Class.prototype, Base.prototype);
    Object.defineProperty(Class.prototype, 'pending', {
      configurable: true,
      get() {
        return this.fd === null;
      },
    });
  }
  WriteStream.prototype.destroySoon = WriteStream.prototype.end;
  return { ReadStream, WriteStream };
}

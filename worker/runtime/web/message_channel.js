// MessageChannel, MessagePort and BroadcastChannel (HTML sections 9.4 and 9.5). All ends are in this guest.
import { ArrayPush, webidlClass } from '../core/primordials.js';
import { DOMException } from '../core/dom_exception.js';
import { Event, EventTarget, eventHandler, fire } from '../core/events.js';
import { cloneWith, registerClone } from '../core/structured_clone.js';
import { setImmediate } from '../core/timers.js';
import { MessageEvent } from './message_event.js';

const key = {};

/**
 * One end of a channel; its port changes when that is transferred.
 * @typedef {{port: MessagePort | null, other: End | null, queue: any[], started: boolean, scheduled: boolean}} End
 */

/** @param {End} end */
function schedule(end) {
  if (end.scheduled || !end.started || end.queue.length === 0) return;
  end.scheduled = true;
  setImmediate(() => {
    end.scheduled = false;
    const message = end.queue.shift();
    schedule(end);
    if (message !== undefined && end.port !== null) deliver(end.port, message);
  });
}

/** @param {any} target @param {{data: any, ports?: any[], error?: any}} message */
function deliver(target, message) {
  fire(
    target,
    message.error === undefined
      ? new MessageEvent('message', { data: message.data, ports: message.ports })
      : new MessageEvent('messageerror'),
  );
}

/** @param {any} options the second argument of postMessage: a list or {transfer} @returns {any[]} */
function transferList(options) {
  if (options === undefined || options === null) return [];
  if (typeof options[Symbol.iterator] === 'function') return [...options];
  return [...(options.transfer ?? [])];
}

export class MessagePort extends EventTarget {
  /** @type {End} */ #end;
  /** @param {any} token @param {End} end */
  constructor(token, end) {
    if (token !== key) throw new TypeError('Illegal constructor');
    super();
    this.#end = end;
    end.port = this;
  }
  static {
    registerClone(this, {
      is: (value) => #end in value,
      transfer(port) {
        const end = port.#end;
        if (end.port !== port) throw new DOMException('This MessagePort was transferred already', 'DataCloneError');
        end.started = false;
        port.#end = { port, other: null, queue: [], started: false, scheduled: false };
        return new MessagePort(key, end);
      },
    });
  }
  /** @param {any} message @param {any} [options] */
  postMessage(message, options) {
    if (arguments.length === 0) throw new TypeError('postMessage needs a message');
    const transfer = transferList(options);
    if (transfer.includes(this)) throw new DOMException('A port cannot be sent through itself', 'DataCloneError');
    const { data, ports } = cloneWithPorts(message, transfer);
    const other = this.#end.other;
    if (other === null) return;
    ArrayPush(other.queue, { data, ports });
    schedule(other);
  }
  start() {
    this.#end.started = true;
    schedule(this.#end);
  }
  close() {
    const end = this.#end;
    const other = end.other;
    end.other = null;
    end.started = false;
    if (other === null) return;
    other.other = null;
    setImmediate(() => {
      if (other.port !== null) fire(other.port, new Event('close'));
    });
  }
}
eventHandler(MessagePort.prototype, 'message', (/** @type {any} */ port) => port.start());
eventHandler(MessagePort.prototype, 'messageerror');
eventHandler(MessagePort.prototype, 'close');
webidlClass(MessagePort, ['postMessage', 'start', 'close']);

/** The clone, and the ports among what was transferred, in its order. @param {any} message @param {any[]} transfer */
function cloneWithPorts(message, transfer) {
  const ports = transfer.filter((item) => item instanceof MessagePort);
  if (ports.length === 0) return { data: cloneWith(message, transfer), ports: [] };
  const both = cloneWith([message, ports], transfer);
  return { data: both[0], ports: both[1] };
}

export class MessageChannel {
  #port1;
  #port2;
  constructor() {
    /** @type {End} */
    const one = { port: null, other: null, queue: [], started: false, scheduled: false };
    /** @type {End} */
    const two = { port: null, other: one, queue: [], started: false, scheduled: false };
    one.other = two;
    this.#port1 = new MessagePort(key, one);
    this.#port2 = new MessagePort(key, two);
  }
  get port1() {
    return this.#port1;
  }
  get port2() {
    return this.#port2;
  }
}
webidlClass(MessageChannel, ['port1', 'port2']);

/** @type {Set<BroadcastChannel>} */
const channels = new Set();

export class BroadcastChannel extends EventTarget {
  #name;
  /** @param {string} name */
  constructor(name) {
    super();
    if (arguments.length === 0) throw new TypeError('BroadcastChannel needs a name');
    this.#name = `${name}`;
    channels.add(this);
  }
  static {
    registerClone(this, { is: (value) => #name in value });
  }
  get name() {
    return this.#name;
  }
  /** @param {any} message */
  postMessage(message) {
    if (arguments.length === 0) throw new TypeError('postMessage needs a message');
    if (!channels.has(this)) throw new DOMException('This BroadcastChannel is closed', 'InvalidStateError');
    for (const channel of channels) {
      if (channel === this || channel.#name !== this.#name) continue;
      const data = cloneWith(message, []);
      setImmediate(() => channels.has(channel) && deliver(channel, { data }));
    }
    if (channels.size === 1) cloneWith(message, []);
  }
  close() {
    channels.delete(this);
  }
}
eventHandler(BroadcastChannel.prototype, 'message');
eventHandler(BroadcastChannel.prototype, 'messageerror');
webidlClass(BroadcastChannel, ['name', 'postMessage', 'close']);

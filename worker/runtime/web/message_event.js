// MessageEvent (HTML standard section 9.1): of WebSocket, EventSource and MessagePort.
import { Event } from '../core/events.js';
import { webidlClass } from '../core/primordials.js';

export class MessageEvent extends Event {
  #init;
  /** @param {string} type @param {any} [init] */
  constructor(type, init) {
    super(type, init);
    this.#init = { data: null, origin: '', lastEventId: '', source: null, ports: [], ...init };
  }
  get data() {
    return this.#init.data;
  }
  get origin() {
    return this.#init.origin;
  }
  get lastEventId() {
    return this.#init.lastEventId;
  }
  get source() {
    return this.#init.source;
  }
  get ports() {
    return this.#init.ports;
  }
}
webidlClass(MessageEvent, ['data', 'origin', 'lastEventId', 'source', 'ports']);

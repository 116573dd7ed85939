// navigator, as far as the WinterTC minimum common API has it.
import { webidlClass } from '../core/primordials.js';

const token = {};

export class Navigator {
  /** @param {any} given */
  constructor(given) {
    if (given !== token) throw new TypeError('Illegal constructor');
  }
  get userAgent() {
    return 'Postern';
  }
  get hardwareConcurrency() {
    return 1;
  }
  get language() {
    return 'en-US';
  }
  get languages() {
    return ['en-US'];
  }
}
webidlClass(Navigator, ['userAgent', 'hardwareConcurrency', 'language', 'languages']);
export const navigator = new Navigator(token);

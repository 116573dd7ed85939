// The guest's clock: milliseconds since it started. How long the machine has run is not its business.

/** When the guest started, by native.clock(). */
let origin = 0;
export function startClock(/** @type {number} */ time) {
  origin = time;
}
export const now = () => native.clock() - origin;

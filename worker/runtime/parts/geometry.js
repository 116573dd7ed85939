// Points, rectangles and matrices: the Geometry Interfaces Module Level 1 (W3C), but for DOMQuad. As in every global that is no window,
// a matrix is not made of CSS text.
import { webidlClass } from '../core/primordials.js';
import { registerClone } from '../core/structured_clone.js';

/** Web IDL's unrestricted double: a BigInt is none. @param {any} value @returns {number} */
const double = (value) => +value;
/** @param {any} value @param {number} missing where nothing is given */
const number = (value, missing) => (value === undefined ? missing : double(value));

/** Own getters, and setters where `write` is given, of a prototype. @param {any} C @param {string[]} names @param {(o: any, i: number) => any} read @param {(o: any, i: number, value: number) => void} [write] */
function accessors(C, names, read, write) {
  names.forEach((name, i) =>
    Object.defineProperty(C.prototype, name, {
      get() {
        return read(this, i);
      },
      set:
        write &&
        function (/** @type {any} */ value) {
          write(this, i, double(value));
        },
      enumerable: true,
      configurable: true,
    }),
  );
}

// ---- points and rectangles: some numbers each

const kPoint = ['x', 'y', 'z', 'w'];
const kRectangle = ['x', 'y', 'width', 'height'];

export class DOMPointReadOnly {
  #values;
  constructor(x = 0, y = 0, z = 0, w = 1) {
    this.#values = [double(x), double(y), double(z), double(w)];
  }
  /** @param {any} [other] */
  static fromPoint(other) {
    return new this(number(other?.x, 0), number(other?.y, 0), number(other?.z, 0), number(other?.w, 1));
  }
  /** @param {any} [matrix] */
  matrixTransform(matrix) {
    return DOMMatrixReadOnly.fromMatrix(matrix).transformPoint(this);
  }
  toJSON() {
    return Object.fromEntries(kPoint.map((name, i) => [name, this.#values[i]]));
  }
  /** @param {any} point */
  static valuesOf = (point) => point.#values;
}
export class DOMPoint extends DOMPointReadOnly {}

export class DOMRectReadOnly {
  #values;
  constructor(x = 0, y = 0, width = 0, height = 0) {
    this.#values = [double(x), double(y), double(width), double(height)];
  }
  /** @param {any} [other] */
  static fromRect(other) {
    return new this(...kRectangle.map((name) => number(other?.[name], 0)));
  }
  get top() {
    return Math.min(this.#values[1], this.#values[1] + this.#values[3]);
  }
  get right() {
    return Math.max(this.#values[0], this.#values[0] + this.#values[2]);
  }
  get bottom() {
    return Math.max(this.#values[1], this.#values[1] + this.#values[3]);
  }
  get left() {
    return Math.min(this.#values[0], this.#values[0] + this.#values[2]);
  }
  toJSON() {
    const { top, right, bottom, left } = this;
    const [x, y, width, height] = this.#values;
    return { x, y, width, height, top, right, bottom, left };
  }
  /** @param {any} rectangle */
  static valuesOf = (rectangle) => rectangle.#values;
}
export class DOMRect extends DOMRectReadOnly {}

/** @param {any} ReadOnly @param {any} Writable @param {string[]} names */
function ofNumbers(ReadOnly, Writable, names) {
  const { valuesOf } = ReadOnly;
  delete ReadOnly.valuesOf;
  const read = (/** @type {any} */ o, /** @type {number} */ i) => valuesOf(o)[i];
  accessors(ReadOnly, names, read);
  accessors(Writable, names, read, (o, i, value) => (valuesOf(o)[i] = value));
  return valuesOf;
}
const valuesOfPoint = ofNumbers(DOMPointReadOnly, DOMPoint, kPoint);
const valuesOfRectangle = ofNumbers(DOMRectReadOnly, DOMRect, kRectangle);

// ---- matrices: mCR is column C, row R, at 4 (C - 1) + R - 1

const kElements = [1, 2, 3, 4].flatMap((column) => [1, 2, 3, 4].map((row) => `m${column}${row}`));
const kShort = { __proto__: null, a: 0, b: 1, c: 4, d: 5, e: 12, f: 13 };
const identity = () => [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
/** Elements that are other than these only in three dimensions. */
const kFlat = Object.entries({ 2: 0, 3: 0, 6: 0, 7: 0, 8: 0, 9: 0, 10: 1, 11: 0, 14: 0, 15: 1 }).map(
  ([at, value]) => /** @type {[number, number]} */ ([Number(at), value]),
);
/** @param {number[]} m */
const isFlat = (m) => kFlat.every(([at, value]) => m[at] === value);
const radians = (/** @type {number} */ degrees) => (degrees * Math.PI) / 180;

/** a × b. @param {number[]} a @param {number[]} b */
function product(a, b) {
  const out = [];
  for (let column = 0; column < 4; column++)
    for (let row = 0; row < 4; row++) {
      let sum = 0;
      for (let k = 0; k < 4; k++) sum += a[4 * k + row] * b[4 * column + k];
      out.push(sum);
    }
  return out;
}

/** By Gauss and Jordan; undefined where there is none. @param {number[]} m */
function inverted(m) {
  const rows = [0, 1, 2, 3].map((row) => [0, 1, 2, 3].map((column) => m[4 * column + row]));
  const right = [0, 1, 2, 3].map((row) => [0, 1, 2, 3].map((column) => Number(row === column)));
  for (let column = 0; column < 4; column++) {
    let pivot = column;
    for (let row = column + 1; row < 4; row++)
      if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) pivot = row;
    const value = rows[pivot][column];
    if (value === 0 || !Number.isFinite(value)) return undefined;
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    [right[column], right[pivot]] = [right[pivot], right[column]];
    for (const part of [rows, right]) part[column] = part[column].map((each) => each / value);
    for (let row = 0; row < 4; row++) {
      const factor = rows[row][column];
      if (row === column || factor === 0) continue;
      for (const part of [rows, right]) part[row] = part[row].map((each, i) => each - factor * part[column][i]);
    }
  }
  return [0, 1, 2, 3].flatMap((column) => [0, 1, 2, 3].map((row) => right[row][column]));
}

/** A turn about an axis, which need not be of length 1 (CSS Transforms 2, rotate3d). @param {number} x @param {number} y @param {number} z @param {number} angle degrees */
function turn(x, y, z, angle) {
  const length = Math.hypot(x, y, z);
  if (length === 0) return identity();
  [x, y, z] = [x / length, y / length, z / length];
  const sin = Math.sin(radians(angle)),
    cos = Math.cos(radians(angle)),
    rest = 1 - cos;
  return [
    x * x * rest + cos, x * y * rest + z * sin, x * z * rest - y * sin, 0,
    x * y * rest - z * sin, y * y * rest + cos, y * z * rest + x * sin, 0,
    x * z * rest + y * sin, y * z * rest - x * sin, z * z * rest + cos, 0,
    0, 0, 0, 1,
  ]; // prettier-ignore
}

/** The elements of a list of 6 or 16. @param {ArrayLike<any>} list @returns {{m: number[], flat: boolean}} */
function ofList(list) {
  const given = Array.from(list, double);
  if (given.length === 16) return { m: given, flat: false };
  if (given.length !== 6) throw new TypeError(`a matrix is made of 6 numbers or of 16, not of ${given.length}`);
  const m = identity();
  Object.values(kShort).forEach((/** @type {any} */ at, i) => (m[at] = given[i]));
  return { m, flat: true };
}

/** The elements of a DOMMatrixInit: its members, where they do not contradict each other. @param {any} init @returns {{m: number[], flat: boolean}} */
function ofMembers(init) {
  if (init === undefined || init === null) return { m: identity(), flat: true };
  if (typeof init !== 'object' && typeof init !== 'function') throw new TypeError('a matrix is made of an object with its elements');
  const m = identity();
  kElements.forEach((name, at) => (m[at] = number(init[name], m[at])));
  for (const [name, at] of Object.entries(kShort)) {
    if (init[name] === undefined) continue;
    const value = double(init[name]);
    if (init[kElements[at]] !== undefined && !Object.is(m[at] + 0, value + 0))
      throw new TypeError(`${name} and ${kElements[at]} are the same element of a matrix, and differ`);
    m[at] = value;
  }
  const flat = isFlat(m);
  if (init.is2D && !flat) throw new TypeError('a matrix of two dimensions has no elements of a third');
  return { m, flat: init.is2D === undefined ? flat : Boolean(init.is2D) };
}

export class DOMMatrixReadOnly {
  /** @type {number[]} */ #m;
  #flat;
  /** @param {any} [init] */
  constructor(init) {
    if (typeof init === 'string') throw new TypeError('a matrix is made of CSS text in windows only; give its 6 or 16 numbers');
    const of = init === undefined ? ofMembers(undefined) : init instanceof DOMMatrixReadOnly ? ofMembers(init) : ofList([...init]);
    this.#m = of.m;
    this.#flat = of.flat;
  }
  /** @param {any} [init] */
  static fromMatrix(init) {
    const made = new this();
    ({ m: made.#m, flat: made.#flat } = ofMembers(init));
    return made;
  }
  /** @param {any} list */
  static fromFloat32Array(list) {
    if (!(list instanceof Float32Array)) throw new TypeError('fromFloat32Array needs a Float32Array');
    return new this(list);
  }
  /** @param {any} list */
  static fromFloat64Array(list) {
    if (!(list instanceof Float64Array)) throw new TypeError('fromFloat64Array needs a Float64Array');
    return new this(list);
  }
  get is2D() {
    return this.#flat;
  }
  get isIdentity() {
    const one = identity();
    return this.#m.every((value, at) => value === one[at]);
  }
  /** As one that may be written. @returns {any} */
  #copy() {
    void this.#m;
    return DOMMatrix.fromMatrix(this);
  }
  translate(tx = 0, ty = 0, tz = 0) {
    return this.#copy().translateSelf(tx, ty, tz);
  }
  scale(/** @type {any[]} */ ...args) {
    return this.#copy().scaleSelf(...args);
  }
  scaleNonUniform(scaleX = 1, scaleY = 1) {
    return this.#copy().scaleSelf(scaleX, scaleY, 1, 0, 0, 0);
  }
  scale3d(/** @type {any[]} */ ...args) {
    return this.#copy().scale3dSelf(...args);
  }
  rotate(/** @type {any[]} */ ...args) {
    return this.#copy().rotateSelf(...args);
  }
  rotateFromVector(x = 0, y = 0) {
    return this.#copy().rotateFromVectorSelf(x, y);
  }
  rotateAxisAngle(x = 0, y = 0, z = 0, angle = 0) {
    return this.#copy().rotateAxisAngleSelf(x, y, z, angle);
  }
  skewX(sx = 0) {
    return this.#copy().skewXSelf(sx);
  }
  skewY(sy = 0) {
    return this.#copy().skewYSelf(sy);
  }
  /** @param {any} [other] */
  multiply(other) {
    return this.#copy().multiplySelf(other);
  }
  flipX() {
    return this.multiply({ a: -1 });
  }
  flipY() {
    return this.multiply({ d: -1 });
  }
  inverse() {
    return this.#copy().invertSelf();
  }
  /** @param {any} [point] */
  transformPoint(point) {
    const from = valuesOfPoint(DOMPoint.fromPoint(point));
    return new DOMPoint(...[0, 1, 2, 3].map((row) => from.reduce((sum, value, column) => sum + value * this.#m[4 * column + row], 0)));
  }
  toFloat32Array() {
    return new Float32Array(this.#m);
  }
  toFloat64Array() {
    return new Float64Array(this.#m);
  }
  toJSON() {
    const { is2D, isIdentity } = this;
    const short = Object.entries(kShort).map(([name, at]) => [name, this.#m[at]]);
    return { ...Object.fromEntries(short), ...Object.fromEntries(kElements.map((name, at) => [name, this.#m[at]])), is2D, isIdentity };
  }
  /** @param {any} matrix */
  static valuesOf = (matrix) => matrix.#m;
  /** Gives `matrix` other elements; `flat`: they are of two dimensions, as far as it was itself. @param {any} matrix @param {number[]} m @param {boolean} flat */
  static become = (matrix, m, flat) => {
    matrix.#m = m;
    matrix.#flat &&= flat;
    return matrix;
  };
}
const { valuesOf, become } = DOMMatrixReadOnly;
delete (/** @type {any} */ (DOMMatrixReadOnly).valuesOf);
delete (/** @type {any} */ (DOMMatrixReadOnly).become);

export class DOMMatrix extends DOMMatrixReadOnly {
  /** @param {any} [other] */
  multiplySelf(other) {
    const { m, flat } = ofMembers(other);
    return become(this, product(valuesOf(this), m), flat);
  }
  /** @param {any} [other] */
  preMultiplySelf(other) {
    const { m, flat } = ofMembers(other);
    return become(this, product(m, valuesOf(this)), flat);
  }
  translateSelf(tx = 0, ty = 0, tz = 0) {
    const m = identity();
    [m[12], m[13], m[14]] = [double(tx), double(ty), double(tz)];
    return become(this, product(valuesOf(this), m), m[14] === 0);
  }
  scaleSelf(scaleX = 1, scaleY = scaleX, scaleZ = 1, originX = 0, originY = 0, originZ = 0) {
    const m = identity();
    [m[0], m[5], m[10]] = [double(scaleX), double(scaleY), double(scaleZ)];
    this.translateSelf(originX, originY, originZ);
    become(this, product(valuesOf(this), m), m[10] === 1);
    return this.translateSelf(-originX, -originY, -originZ);
  }
  scale3dSelf(scale = 1, originX = 0, originY = 0, originZ = 0) {
    return this.scaleSelf(scale, scale, scale, originX, originY, originZ);
  }
  /** @param {any} [rotX] degrees @param {any} [rotY] @param {any} [rotZ] */
  rotateSelf(rotX = 0, rotY, rotZ) {
    const [x, y, z] = rotY === undefined && rotZ === undefined ? [0, 0, double(rotX)] : [double(rotX), number(rotY, 0), number(rotZ, 0)];
    for (const turned of [turn(0, 0, 1, z), turn(0, 1, 0, y), turn(1, 0, 0, x)])
      become(this, product(valuesOf(this), turned), x === 0 && y === 0);
    return this;
  }
  rotateFromVectorSelf(x = 0, y = 0) {
    return this.rotateSelf((Math.atan2(double(y), double(x)) * 180) / Math.PI);
  }
  rotateAxisAngleSelf(x = 0, y = 0, z = 0, angle = 0) {
    const turned = turn(double(x), double(y), double(z), double(angle));
    return become(this, product(valuesOf(this), turned), double(x) === 0 && double(y) === 0);
  }
  skewXSelf(sx = 0) {
    return this.multiplySelf({ c: Math.tan(radians(double(sx))) });
  }
  skewYSelf(sy = 0) {
    return this.multiplySelf({ b: Math.tan(radians(double(sy))) });
  }
  invertSelf() {
    const m = inverted(valuesOf(this));
    return become(this, m ?? Array(16).fill(NaN), m !== undefined);
  }
}

const element = (/** @type {any} */ matrix, /** @type {number} */ at) => valuesOf(matrix)[at];
/** @param {any} matrix @param {number} at @param {number} value */
function setElement(matrix, at, value) {
  valuesOf(matrix)[at] = value;
  const flat = kFlat.find(([each]) => each === at);
  become(matrix, valuesOf(matrix), flat === undefined || flat[1] === value);
}
for (const [C, write] of /** @type {[any, any][]} */ ([[DOMMatrixReadOnly], [DOMMatrix, setElement]])) {
  accessors(C, kElements, element, write);
  for (const [name, at] of Object.entries(kShort))
    accessors(C, [name], (matrix) => element(matrix, at), write && ((matrix, _, value) => write(matrix, at, value)));
}

const matrixMethods =
  'translate scale scaleNonUniform scale3d rotate rotateFromVector rotateAxisAngle skewX skewY multiply flipX flipY inverse transformPoint toFloat32Array toFloat64Array toJSON is2D isIdentity';
const selfMethods =
  'multiplySelf preMultiplySelf translateSelf scaleSelf scale3dSelf rotateSelf rotateFromVectorSelf rotateAxisAngleSelf skewXSelf skewYSelf invertSelf';
webidlClass(DOMPointReadOnly, ['matrixTransform', 'toJSON'], ['fromPoint']);
webidlClass(DOMPoint, []);
webidlClass(DOMRectReadOnly, ['top', 'right', 'bottom', 'left', 'toJSON'], ['fromRect']);
webidlClass(DOMRect, []);
webidlClass(DOMMatrixReadOnly, matrixMethods.split(' '), ['fromMatrix', 'fromFloat32Array', 'fromFloat64Array']);
webidlClass(DOMMatrix, selfMethods.split(' '));

/** @param {any[]} classes the one that may be written last @param {(value: any) => number[]} values @param {(C: any, value: any) => any} copy */
function cloneable(classes, values, copy) {
  for (const C of classes) {
    const is = (/** @type {any} */ value) => {
      try {
        return values(value) !== undefined;
      } catch {
        return false;
      }
    };
    registerClone(C, { is, clone: (value) => copy(C, value) });
    native.markPlatform(C.prototype);
  }
}
cloneable([DOMPointReadOnly, DOMPoint], valuesOfPoint, (C, value) => C.fromPoint(value));
cloneable([DOMRectReadOnly, DOMRect], valuesOfRectangle, (C, value) => C.fromRect(value));
cloneable([DOMMatrixReadOnly, DOMMatrix], valuesOf, (C, value) => C.fromMatrix(value));

// crypto.X509Certificate.
import { codedError } from '../core/coded_error.js';
import { load } from './loader.js';

/** OpenSSL's flags of what a name is compared with. */
const kAlwaysSubject = 1,
  kNoWildcards = 2,
  kNoPartialWildcards = 4,
  kMultiLabelWildcards = 8,
  kSingleLabelSubdomains = 16,
  kNeverSubject = 32;

/**
 * @param {{Buffer: any, bytesOf: Function, publicKeyObject: (key: any) => any, keyOf: (given: any, half: string) => any}} shared
 *   of crypto.js and keys.js
 */
export function certificates({ Buffer, bytesOf, publicKeyObject, keyOf }) {
  const { validateBoolean, validateObject, validateOneOf, validateString } = load('internal/validators');
  const { codes } = load('internal/errors');
  const { inspect } = load('internal/util/inspect');

  /** @param {Uint8Array} bytes @param {string} hash */
  const fingerprintOf = (bytes, hash) =>
    Buffer.from(native.digest(hash, bytes)).toString('hex').toUpperCase().match(/../g).join(':');
  const orNone = (text) => (text === '' ? undefined : text);

  /** @param {any} options */
  function flagsOf(options) {
    if (options === undefined) return 0;
    validateObject(options, 'options');
    const {
      subject = 'default',
      wildcards = true,
      partialWildcards = true,
      multiLabelWildcards = false,
      singleLabelSubdomains = false,
    } = options;
    validateString(subject, 'options.subject');
    for (const [name, value] of Object.entries({
      wildcards,
      partialWildcards,
      multiLabelWildcards,
      singleLabelSubdomains,
    }))
      validateBoolean(value, `options.${name}`);
    validateOneOf(subject, 'options.subject', ['default', 'always', 'never']);
    return (
      (subject === 'always' ? kAlwaysSubject : subject === 'never' ? kNeverSubject : 0) |
      (wildcards ? 0 : kNoWildcards) |
      (partialWildcards ? 0 : kNoPartialWildcards) |
      (multiLabelWildcards ? kMultiLabelWildcards : 0) |
      (singleLabelSubdomains ? kSingleLabelSubdomains : 0)
    );
  }

  /** @type {(other: any) => any} */
  let handleOf;

  class X509Certificate {
    #handle;
    /** @type {Record<string, any> | undefined} */
    #texts;
    constructor(buffer) {
      if (typeof buffer !== 'string' && !ArrayBuffer.isView(buffer) && !(buffer instanceof ArrayBuffer))
        throw new codes.ERR_INVALID_ARG_TYPE('buffer', ['string', 'Buffer', 'TypedArray', 'DataView'], buffer);
      this.#handle = native.certificateRead(bytesOf(buffer, 'utf8', 'buffer'));
      if (this.#handle === undefined)
        throw codedError(
          'ERR_OSSL_PEM_NO_START_LINE',
          'error:0480006C:PEM routines::no start line: this is no certificate',
        );
    }
    get #all() {
      if (this.#texts === undefined) {
        const texts = native.certificateTexts(this.#handle);
        const names =
          'subject issuer subjectAltName infoAccess keyUsage validFrom validTo serialNumber signatureAlgorithm signatureAlgorithmOid pem ca';
        this.#texts = Object.fromEntries(names.split(' ').map((name, i) => [name, texts[i]]));
      }
      return this.#texts;
    }
    get subject() {
      return this.#all.subject;
    }
    get subjectAltName() {
      return orNone(this.#all.subjectAltName);
    }
    get issuer() {
      return this.#all.issuer;
    }
    get issuerCertificate() {
      return undefined; // of a connection's chain, which is the broker's
    }
    get infoAccess() {
      return orNone(this.#all.infoAccess);
    }
    get validFrom() {
      return this.#all.validFrom;
    }
    get validTo() {
      return this.#all.validTo;
    }
    get validFromDate() {
      return new Date(native.certificateTimes(this.#handle)[0] * 1000);
    }
    get validToDate() {
      return new Date(native.certificateTimes(this.#handle)[1] * 1000);
    }
    get fingerprint() {
      return fingerprintOf(this.raw, 'SHA1');
    }
    get fingerprint256() {
      return fingerprintOf(this.raw, 'SHA256');
    }
    get fingerprint512() {
      return fingerprintOf(this.raw, 'SHA512');
    }
    get keyUsage() {
      return orNone(this.#all.keyUsage)?.split('\n');
    }
    get serialNumber() {
      return this.#all.serialNumber;
    }
    get signatureAlgorithm() {
      return orNone(this.#all.signatureAlgorithm);
    }
    get signatureAlgorithmOid() {
      return this.#all.signatureAlgorithmOid;
    }
    get raw() {
      return Buffer.from(native.certificateDer(this.#handle));
    }
    get publicKey() {
      return publicKeyObject(native.certificateKey(this.#handle));
    }
    get ca() {
      return this.#all.ca !== '';
    }
    toString() {
      return this.#all.pem;
    }
    toJSON() {
      return this.toString();
    }
    #isFor(kind, name, flags) {
      const found = native.certificateIsFor(this.#handle, kind, name, flags);
      if (found === false) throw new codes.ERR_INVALID_ARG_VALUE(kind === 'host' ? 'name' : kind, name);
      return found;
    }
    checkHost(name, options) {
      validateString(name, 'name');
      return this.#isFor('host', name, flagsOf(options));
    }
    checkEmail(email, options) {
      validateString(email, 'email');
      return this.#isFor('email', email, flagsOf(options));
    }
    checkIP(ip, options) {
      validateString(ip, 'ip');
      flagsOf(options);
      return this.#isFor('ip', ip, 0);
    }
    checkIssued(other) {
      return native.certificateIssued(handleOf(other), this.#handle);
    }
    checkPrivateKey(key) {
      return native.certificateHas(this.#handle, keyObjectOf(key, 'private'));
    }
    verify(key) {
      return native.certificateVerify(this.#handle, keyObjectOf(key, 'public'));
    }
    toLegacyObject() {
      const { raw } = this;
      const publicKey = native.certificateKey(this.#handle);
      const [kind, bits, curve] = native.keyInfo(publicKey);
      const { modulus, exponent, point } = numbersOf(publicKey, kind);
      const key =
        kind === 'RSA'
          ? { modulus, exponent, pubkey: publicKeyObject(publicKey).export({ type: 'spki', format: 'der' }), bits }
          : kind === 'EC'
            ? { pubkey: point, bits, asn1Curve: curve, nistCurve: nistNames[curve] }
            : {};
      const object = {
        subject: namesOf(native.certificateNames(this.#handle, false)),
        issuer: namesOf(native.certificateNames(this.#handle, true)),
        subjectaltname: this.subjectAltName,
        infoAccess: infoOf(this.infoAccess),
        ca: this.ca,
        ...key,
        valid_from: this.validFrom,
        valid_to: this.validTo,
        fingerprint: this.fingerprint,
        fingerprint256: this.fingerprint256,
        fingerprint512: this.fingerprint512,
        ext_key_usage: this.keyUsage,
        serialNumber: this.serialNumber,
        raw,
      };
      return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
    }
    [inspect.custom](depth, options) {
      if (depth < 0) return this;
      const { subject, subjectAltName, issuer, infoAccess, validFrom, validTo, validFromDate, validToDate } = this;
      const {
        fingerprint,
        fingerprint256,
        fingerprint512,
        keyUsage,
        serialNumber,
        signatureAlgorithm,
        signatureAlgorithmOid,
      } = this;
      const shown = {
        subject, subjectAltName, issuer, infoAccess, validFrom, validTo, validFromDate, validToDate, fingerprint, fingerprint256,
        fingerprint512, keyUsage, serialNumber, signatureAlgorithm, signatureAlgorithmOid,
      }; // prettier-ignore
      return `X509Certificate ${inspect(shown, { ...options, depth: options.depth == null ? null : options.depth - 1 })}`;
    }
    static {
      handleOf = (other) => {
        if (typeof other !== 'object' || other === null || !(#handle in other))
          throw new codes.ERR_INVALID_ARG_TYPE('otherCert', 'X509Certificate', other);
        return other.#handle;
      };
    }
  }
  /** @param {any} given @param {string} half */
  function keyObjectOf(given, half) {
    const state = keyOf(given);
    if (state === undefined) throw new codes.ERR_INVALID_ARG_TYPE('pkey', 'KeyObject', given);
    if (state.type !== half) throw new codes.ERR_INVALID_ARG_VALUE('pkey', given);
    return state.key;
  }
  /** @param {string[]} pairs */
  function namesOf(pairs) {
    const names = Object.create(null);
    for (let i = 0; i < pairs.length; i += 2) {
      const [name, value] = [pairs[i], pairs[i + 1]];
      if (names[name] === undefined) names[name] = value;
      else names[name] = [].concat(names[name], value);
    }
    return names;
  }
  /** @param {string | undefined} text */
  function infoOf(text) {
    if (text === undefined) return undefined;
    const info = Object.create(null);
    for (const line of text.split('\n')) {
      const [, name, value] = /^([^:]*):(.*)$/.exec(line) ?? [];
      if (name !== undefined) (info[name] ??= []).push(value.startsWith('"') ? JSON.parse(value) : value);
    }
    return info;
  }
  const nistNames = { prime256v1: 'P-256', secp384r1: 'P-384', secp521r1: 'P-521' };
  function numbersOf(key, kind) {
    const parts = native.keyParts(key, false).map((part) => Buffer.from(part));
    if (kind === 'RSA')
      return {
        modulus: parts[0].toString('hex').toUpperCase(),
        exponent: `0x${BigInt(`0x${parts[1].toString('hex')}`).toString(16)}`,
      };
    return { point: kind === 'EC' ? Buffer.concat([Buffer.from([4]), ...parts]) : undefined };
  }

  return { X509Certificate };
}

/**
 * X.509 certificates (RFC 5280) for one cluster: a certification authority of its own, and what its members show. Node can
 * sign and read certificates and makes none, so their few fields are encoded here, in DER (X.690); node:crypto does the rest.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
  X509Certificate,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';

/** PEM, both. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly from: Date;
  readonly until: Date;
}

// ── DER ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from(body.length.toString(16).replace(/^(?=(..)*.$)/, '0'), 'hex');
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, body]);
}

const sequence = (...parts: readonly Buffer[]): Buffer => der(0x30, ...parts);
const octets = (body: Buffer): Buffer => der(0x04, body);
/** Whole bytes. */
const bits = (body: Buffer): Buffer => der(0x03, Buffer.from([0]), body);
const TRUE = der(0x01, Buffer.from([0xff]));

/** Only what is needed here: each part below 16384. */
function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number);
  const base128 = rest.flatMap((part) => (part < 0x80 ? [part] : [0x80 | (part >> 7), part & 0x7f]));
  return der(0x06, Buffer.from([40 * first + second, ...base128]));
}

/** UTCTime until 2049, GeneralizedTime after it. */
function time(date: Date): Buffer {
  const digits = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const short = date.getUTCFullYear() < 2050;
  return der(short ? 0x17 : 0x18, Buffer.from(short ? digits.slice(2) : digits));
}

const name = (commonName: string): Buffer =>
  sequence(der(0x31, sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(commonName)))));

// ── Certificates ────────────────────────────────────────────────────────────────────────────────────────────────────

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const [SUBJECT_KEY, KEY_USAGE, ALTERNATIVE_NAME, BASIC, AUTHORITY_KEY, EXTENDED_USAGE] = [14, 15, 17, 19, 35, 37].map(
  (last) => oid(`2.5.29.${last}`),
) as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer];
const SERVER_AND_CLIENT = sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2'));

const extension = (id: Buffer, value: Buffer, critical = false): Buffer =>
  sequence(id, ...(critical ? [TRUE] : []), octets(value));

/** Members are told apart by nothing in it: one certificate is all members'. */
interface Request {
  readonly subject: string;
  /** The issuer; null: itself. */
  readonly issuer: KeyPair | null;
  readonly key: KeyObject;
  readonly validity: Validity;
  readonly extensions: readonly Buffer[];
}

function issue({ subject, issuer, key, validity, extensions }: Request): KeyPair {
  const issuerName = issuer === null ? name(subject) : name(commonNameOf(issuer.certificate));
  const issuerKey = issuer === null ? key : createPrivateKey(issuer.key);
  // Positive, and as random as it may be long.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const signed = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ECDSA_SHA256,
    issuerName,
    sequence(time(validity.from), time(validity.until)),
    name(subject),
    publicKey(key),
    der(
      0xa3,
      sequence(
        ...extensions,
        extension(SUBJECT_KEY, octets(identifier(key))),
        extension(AUTHORITY_KEY, sequence(der(0x80, identifier(issuerKey)))),
      ),
    ),
  );
  const certificate = sequence(signed, ECDSA_SHA256, bits(sign('sha256', signed, issuerKey)));
  const lines = certificate.toString('base64').match(/.{1,64}/g) ?? [];
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

const publicKey = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });

/** Of a P-256 key: its point is the last 65 bytes. */
const identifier = (key: KeyObject): Buffer => createHash('sha1').update(publicKey(key).subarray(-65)).digest();

const commonNameOf = (certificate: string): string => new X509Certificate(certificate).subject.replace(/^CN=/, '');

const newKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;

/**
 * An authority that signs certificates and no other authorities. Renewed with `former`'s key it goes under the same name: what
 * either has signed is good under both.
 */
export function certificateAuthority(commonName: string, validity: Validity, former?: KeyPair): KeyPair {
  const key = former === undefined ? newKey() : createPrivateKey(former.key);
  const extensions = [
    extension(BASIC, sequence(TRUE, der(0x02, Buffer.from([0]))), true),
    // keyCertSign and cRLSign.
    extension(KEY_USAGE, der(0x03, Buffer.from([1, 0x06])), true),
  ];
  return issue({ subject: commonName, issuer: null, key, validity, extensions });
}

/** For whoever is known by these names and addresses, to show as a server and as a client. */
export function certificateFor(names: readonly string[], issuer: KeyPair, validity: Validity): KeyPair {
  const [subject = ''] = names;
  const alternatives = names.map((text) =>
    isIPv4(text) ? der(0x87, Buffer.from(text.split('.').map(Number))) : der(0x82, Buffer.from(text)),
  );
  const extensions = [
    extension(BASIC, sequence(), true),
    // digitalSignature.
    extension(KEY_USAGE, der(0x03, Buffer.from([7, 0x80])), true),
    extension(EXTENDED_USAGE, SERVER_AND_CLIENT),
    extension(ALTERNATIVE_NAME, sequence(...alternatives)),
  ];
  return issue({ subject: subject.slice(0, 64), issuer, key: newKey(), validity, extensions });
}

/**
 * X.509 certificates (RFC 5280) for one cluster: a certification authority of its own, and what its members show. Node can
 * sign and read certificates and makes none: @peculiar/x509 does, which wants a polyfill to be there first.
 */
import 'reflect-metadata';
import { createPrivateKey, createPublicKey, generateKeyPairSync, webcrypto } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIPv4 } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Name,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** PEM, both. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Validity {
  readonly from: Date;
  readonly until: Date;
}

/**
 * An authority that signs certificates and no other authorities. Renewed with `former`'s key it goes under the same name: what
 * either has signed is good under both.
 */
export function certificateAuthority(commonName: string, validity: Validity, former?: KeyPair): Promise<KeyPair> {
  const key = former === undefined ? newKey() : createPrivateKey(former.key);
  const subject = nameOf(commonName);
  const extensions = [
    new BasicConstraintsExtension(true, 0, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ];
  return issue({ subject, key, issuer: { name: subject, key }, validity, extensions });
}

/** For whoever is known by these names and addresses, to show as a server and as a client. */
export function certificateFor(names: readonly string[], authority: KeyPair, validity: Validity): Promise<KeyPair> {
  const [subject = ''] = names;
  const { subjectName } = new X509Certificate(authority.certificate);
  const extensions = [
    new BasicConstraintsExtension(false, undefined, true),
    new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIPv4(value) ? 'ip' : 'dns', value }))),
  ];
  return issue({
    subject: nameOf(subject.slice(0, 64)),
    key: newKey(),
    issuer: { name: subjectName, key: createPrivateKey(authority.key) },
    validity,
    extensions,
  });
}

/** Members are told apart by nothing in it: one certificate is all members'. */
interface Request {
  readonly subject: Name;
  readonly key: KeyObject;
  readonly issuer: { readonly name: Name; readonly key: KeyObject };
  readonly validity: Validity;
  readonly extensions: readonly Extension[];
}

async function issue({ subject, key, issuer, validity, extensions }: Request): Promise<KeyPair> {
  const signer = issuer.key.export({ type: 'pkcs8', format: 'der' });
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: issuer.name,
    notBefore: validity.from,
    notAfter: validity.until,
    publicKey: publicOf(key),
    signingKey: await webcrypto.subtle.importKey('pkcs8', signer, P256, false, ['sign']),
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [
      ...extensions,
      await SubjectKeyIdentifierExtension.create(publicOf(key)),
      await AuthorityKeyIdentifierExtension.create(publicOf(issuer.key)),
    ],
  });
  return {
    certificate: `${certificate.toString('pem')}\n`,
    key: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

const P256 = { name: 'ECDSA', namedCurve: 'P-256' };

const newKey = (): KeyObject => generateKeyPairSync('ec', P256).privateKey;

const publicOf = (key: KeyObject): Buffer => createPublicKey(key).export({ type: 'spki', format: 'der' });

const nameOf = (commonName: string): Name => new Name([{ CN: [{ utf8String: commonName }] }]);

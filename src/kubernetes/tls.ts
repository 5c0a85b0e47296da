/**
 * What members show each other and the operator: one certificate, in the Secret `NAME-tls`, signed by the cluster's own
 * authority, in `NAME-ca`, or given by the user, as cert-manager makes one. It is replaced in steps, each when the one before
 * has reached every member: whoever trusts only the old never meets only the new.
 */
import { X509Certificate } from 'node:crypto';
import { MAX_MEMBERS } from '../mysql/names.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import { certificateAuthority, certificateFor, type KeyPair } from './certificates.ts';
import { namespaceOf, namesOf } from './objects/object.ts';

/** PEM. */
export interface Tls {
  /** One or more authorities: a certificate that any of them signed is trusted. */
  readonly ca: string;
  readonly certificate: string;
  readonly key: string;
}

/** What members have, and since when. */
export interface TlsNow extends Tls {
  readonly changedMs: number;
}

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;
/** Renewed when so much is left: enough to notice that it is not, and to do something about it. */
const AUTHORITY_LEFT_DAYS = 365;
const MEMBER_DAYS = 365;
const MEMBER_LEFT_DAYS = 120;
/** One that is given and not renewed by then is replaced: nobody could connect any more. */
const GIVEN_LEFT_DAYS = 1;
/** Members' clocks may be a little behind. */
const EARLIER_MS = 3_600_000;
/** Until a changed Secret is in every Pod and read by its mysqld: seconds, where a node is not away. */
const SPREAD_MS = 30_000;

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text. */
export function certificatesOf(pem: string): X509Certificate[] {
  return (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
}

/** Too late to wait for whoever should have renewed it. */
export function endsSoon(certificate: string, nowMs: number): boolean {
  const [first] = certificatesOf(certificate);
  return first === undefined || leftMs(first, nowMs) < GIVEN_LEFT_DAYS * DAY_MS;
}

/** The names that members and Services are known by, within the cluster. */
export function tlsNames(cluster: MySQLCluster): string[] {
  const names = namesOf(cluster);
  const qualified = (name: string): string[] => {
    const inNamespace = `${name}.${namespaceOf(cluster)}`;
    return [inNamespace, `${inNamespace}.svc`, `${inNamespace}.svc.cluster.local`];
  };
  // A wildcard before a name without a dot is taken by nobody.
  const members = Array.from({ length: MAX_MEMBERS }, (_, ordinal) => `${names.pod(ordinal)}.${names.cluster}`);
  const services = [names.cluster, names.primaryService, names.readService];
  return [...qualified(`*.${names.cluster}`), ...members, ...services, ...services.flatMap(qualified), 'localhost'];
}

/** The cluster's own authority: as it is, or renewed under its key, or new. */
export async function dueAuthority(cluster: MySQLCluster, authority: KeyPair | null, nowMs: number): Promise<KeyPair> {
  const [certificate] = authority === null ? [] : certificatesOf(authority.certificate);
  if (authority !== null && certificate !== undefined && leftMs(certificate, nowMs) > AUTHORITY_LEFT_DAYS * DAY_MS) {
    return authority;
  }
  const name = `Baton ${namespaceOf(cluster)}/${cluster.metadata.name}`.slice(0, 64);
  return certificateAuthority(name, validity(AUTHORITY_DAYS, nowMs), authority ?? undefined);
}

/** What the cluster's own authority gives its members: what they have, if that is good for a while. */
export async function issuedBy(
  authority: KeyPair,
  cluster: MySQLCluster,
  now: Tls | null,
  nowMs: number,
): Promise<Tls> {
  const names = tlsNames(cluster);
  const [issuer] = certificatesOf(authority.certificate);
  const [certificate] = certificatesOf(now?.certificate ?? '');
  const good =
    now !== null &&
    issuer !== undefined &&
    certificate?.verify(issuer.publicKey) === true &&
    leftMs(certificate, nowMs) > MEMBER_LEFT_DAYS * DAY_MS &&
    names.every((name) => certificate.subjectAltName?.split(', ').includes(`DNS:${name}`) === true);
  const pair = good ? now : await certificateFor(names, authority, validity(MEMBER_DAYS, nowMs));
  return { ca: authority.certificate, certificate: pair.certificate, key: pair.key };
}

/**
 * The next step from what members have to what they are to have; null if that is all done, or a step still has to arrive.
 * First they trust both authorities, then they show the new certificate, then they trust the new authority alone.
 */
export function nextTls(now: TlsNow | null, wanted: Tls, nowMs: number): TlsNow | null {
  if (now === null) return { ...wanted, changedMs: nowMs };
  const trusted = certificatesOf(now.ca);
  const wantedCa = certificatesOf(wanted.ca);
  const missing = wantedCa.filter((one) => !trusted.some((known) => known.fingerprint256 === one.fingerprint256));
  if (missing.length > 0) {
    const ca = [...wantedCa, ...trusted].map((one) => one.toString()).join('');
    return { ...now, ca: [...new Set(ca.match(BLOCK))].join('\n').concat('\n'), changedMs: nowMs };
  }
  const shown = now.certificate.trim() === wanted.certificate.trim();
  const superfluous = trusted.length > wantedCa.length;
  if ((shown && !superfluous) || nowMs - now.changedMs < SPREAD_MS) return null;
  return { ...wanted, ca: shown ? wanted.ca : now.ca, changedMs: nowMs };
}

function validity(days: number, nowMs: number): { readonly from: Date; readonly until: Date } {
  return { from: new Date(nowMs - EARLIER_MS), until: new Date(nowMs + days * DAY_MS) };
}

const leftMs = ({ validTo }: X509Certificate, nowMs: number): number => Date.parse(validTo) - nowMs;

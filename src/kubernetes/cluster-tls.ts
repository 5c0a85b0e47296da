/** A cluster's certificates on the API server: made, renewed, or taken over from the Secret that the resource names. */
import { createPrivateKey, type X509Certificate } from 'node:crypto';
import type { MySQLCluster } from '../spec/resource.ts';
import type { ApiClient } from './api/client.ts';
import { SECRETS, type Secret } from './api/resources.ts';
import { namespaceOf, namesOf, type Ownership } from './objects/object.ts';
import { TLS_CHANGED_ANNOTATION, authoritySecret, tlsSecret } from './objects/secret.ts';
import { certificatesOf, dueAuthority, endsSoon, issuedBy, nextTls, type Tls, type TlsNow } from './tls.ts';

/** The Secret that the resource names is not there, or not fit to be shown: what members have stays. */
export class GivenTlsError extends Error {
  override readonly name = 'GivenTlsError';
  readonly code = 'TLS_SECRET';
}

/** How many authorities may be between a certificate and one that is trusted. */
const MAX_CHAIN = 5;

export class ClusterTls {
  readonly #client: ApiClient;
  readonly #cluster: () => MySQLCluster;
  readonly #ownership: Ownership;
  readonly #nowMs: () => number;
  #trusted = { ca: '' };
  #changedMs = 0;

  constructor(client: ApiClient, cluster: () => MySQLCluster, ownership: Ownership, nowMs = Date.now) {
    this.#client = client;
    this.#cluster = cluster;
    this.#ownership = ownership;
    this.#nowMs = nowMs;
  }

  /** Whom members' certificates are signed by; the same object while it is the same. */
  trusted(): { readonly ca: string } {
    return this.#trusted;
  }

  /** When members' Secret was last changed, in milliseconds since 1970; 0: never, since it was made. */
  get changedMs(): number {
    return this.#changedMs;
  }

  /**
   * One step on, if one is due. Rejects with GivenTlsError, and with a conflict if another operator was first; then what
   * members have is trusted all the same, if they have something.
   */
  async keep(): Promise<void> {
    const cluster = this.#cluster();
    const found = await this.#read(namesOf(cluster).tls);
    const now = tlsOf(found);
    if (now !== null) this.#trust(now);
    const wanted = await this.#wanted(cluster, now);
    const next = nextTls(now, wanted, this.#nowMs());
    if (next === null) return;
    await this.#write(tlsSecret(cluster, next, this.#ownership), found);
    this.#trust(next);
  }

  async #wanted(cluster: MySQLCluster, now: Tls | null): Promise<Tls> {
    const { secretName } = cluster.spec.tls;
    if (secretName !== undefined) {
      const given = tlsOf(await this.#read(secretName));
      const problem = whatIsWrong(given, this.#nowMs());
      if (given !== null && problem === null) return given;
      const expected = `expected the Secret ${secretName} to have ca.crt, tls.crt and tls.key that fit together`;
      // With one that is over, nobody could connect: the cluster's own comes in its place.
      if (now === null || !endsSoon(now.certificate, this.#nowMs())) {
        throw new GivenTlsError(`${expected}, found ${problem ?? 'none'}`);
      }
    }
    const found = await this.#read(namesOf(cluster).authority);
    const [certificate, key] = [valueOf(found, 'ca.crt'), valueOf(found, 'ca.key')];
    const before = certificate === '' || key === '' ? null : { certificate, key };
    const authority = await dueAuthority(cluster, before, this.#nowMs());
    if (authority !== before) await this.#write(authoritySecret(cluster, authority, this.#ownership), found);
    return issuedBy(authority, cluster, now, this.#nowMs());
  }

  #trust({ ca, changedMs }: TlsNow): void {
    this.#changedMs = changedMs;
    if (ca !== this.#trusted.ca) this.#trusted = { ca };
  }

  #read(name: string): Promise<Secret | null> {
    return this.#client.get<Secret>(SECRETS, namespaceOf(this.#cluster()), name);
  }

  /** Nobody wrote it meanwhile. */
  async #write(secret: ReturnType<typeof tlsSecret>, found: Secret | null): Promise<void> {
    if (found === null) await this.#client.create(SECRETS, namespaceOf(this.#cluster()), secret);
    else await this.#client.apply(secret, found.metadata.resourceVersion);
  }
}

const valueOf = (secret: Secret | null, key: string): string =>
  Buffer.from(secret?.data?.[key] ?? '', 'base64').toString();

function tlsOf(secret: Secret | null): TlsNow | null {
  const [ca, certificate, key] = ['ca.crt', 'tls.crt', 'tls.key'].map((name) => valueOf(secret, name));
  if (!ca || !certificate || !key) return null;
  return { ca, certificate, key, changedMs: Number(secret?.metadata.annotations?.[TLS_CHANGED_ANNOTATION] ?? 0) };
}

/** Nothing that would part members from each other or from the operator; null: nothing is wrong. */
function whatIsWrong(given: Tls | null, nowMs: number): string | null {
  if (given === null) return 'none, or not all of them';
  try {
    return problemOf(given, nowMs);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function problemOf({ ca, certificate, key }: Tls, nowMs: number): string | null {
  const authorities = certificatesOf(ca);
  const [leaf, ...between] = certificatesOf(certificate);
  if (leaf === undefined) return 'that tls.crt is no certificate';
  if (!leaf.checkPrivateKey(createPrivateKey(key))) return 'that tls.key is not the key of tls.crt';
  if (endsSoon(certificate, nowMs)) return `that tls.crt ends on ${leaf.validTo}`;
  let one: X509Certificate | undefined = leaf;
  for (let step = 0; step < MAX_CHAIN && one !== undefined; step++) {
    const below: X509Certificate = one;
    const signed = (issuer: X509Certificate): boolean => below.checkIssued(issuer) && below.verify(issuer.publicKey);
    if (authorities.some(signed)) return null;
    one = between.find(signed);
  }
  return 'that tls.crt is not signed by ca.crt';
}

/** A cluster's passwords on the API server: those of Baton's own accounts, and those of people, which people may change. */
import { randomBytes } from 'node:crypto';
import type { Passwords } from '../mysql/accounts.ts';
import type { MySQLCluster } from '../spec/resource.ts';
import type { ApiClient } from './api/client.ts';
import { isConflict } from './api/errors.ts';
import { SECRETS, type Secret } from './api/resources.ts';
import { UNOWNED, namespaceOf, namesOf, type Ownership } from './objects/object.ts';
import {
  credentialsName,
  credentialsSecret,
  internalSecret,
  passwordsFrom,
  type SecretValues,
} from './objects/secret.ts';

/** The resource names a Secret that is not there. */
export class SecretMissingError extends Error {
  override readonly name = 'SecretMissingError';
  readonly code = 'SECRET_MISSING';
}

const generate = (): string => randomBytes(18).toString('base64url');
const neverGenerate = (): string => '';

export class ClusterPasswords {
  readonly #client: ApiClient;
  readonly #cluster: () => MySQLCluster;
  readonly #owned: Ownership;

  constructor(client: ApiClient, cluster: () => MySQLCluster, owned: Ownership) {
    this.#client = client;
    this.#cluster = cluster;
    this.#owned = owned;
  }

  /** As they are in MySQL; made, if there are none. */
  async make(): Promise<Passwords> {
    const cluster = this.#cluster();
    const [credentials, internal] = await this.#read();
    if (internal === null && credentials === null && cluster.spec.credentials.secretName !== undefined) {
      throw new SecretMissingError(`expected the Secret ${credentialsName(cluster)}, found none: create it`);
    }
    const passwords = passwordsFrom(internal ?? credentials, internal, generate);
    if (internal === null) {
      try {
        await this.#client.create(
          SECRETS,
          namespaceOf(cluster),
          internalSecret(cluster, passwords, this.#ownership(cluster)),
        );
      } catch (error) {
        if (!isConflict(error)) throw error;
        throw new Error('another operator has just made the passwords', { cause: error });
      }
    }
    // What people have changed there is still to be changed in MySQL, and stays.
    const theirs = internal === null ? passwords : passwordsFrom(credentials, internal, neverGenerate);
    const forPeople = credentialsSecret(cluster, theirs, this.#ownership(cluster));
    if (forPeople !== null) await this.#client.apply(forPeople);
    return passwords;
  }

  /** Those that people have changed and MySQL does not know yet; null: none. */
  async changed(): Promise<Passwords | null> {
    const [credentials, internal] = await this.#read();
    if (credentials === null || internal === null) return null;
    const known = passwordsFrom(null, internal, neverGenerate);
    const wanted = passwordsFrom(credentials, internal, neverGenerate);
    return wanted.root === known.root && wanted.application === known.application ? null : wanted;
  }

  /** MySQL has them: a new member is born with them. */
  async adopt(passwords: Passwords): Promise<void> {
    const cluster = this.#cluster();
    await this.#client.apply(internalSecret(cluster, passwords, this.#ownership(cluster)));
  }

  /** Volumes that stay behind can be opened with theirs alone: so the Secrets stay with them. */
  #ownership(cluster: MySQLCluster): Ownership {
    return cluster.spec.storage.whenDeleted === 'Delete' ? this.#owned : UNOWNED;
  }

  #read(): Promise<[SecretValues | null, SecretValues | null]> {
    const cluster = this.#cluster();
    const read = async (name: string): Promise<SecretValues | null> => {
      const secret = await this.#client.get<Secret>(SECRETS, namespaceOf(cluster), name);
      if (secret === null) return null;
      const decoded = Object.entries(secret.data ?? {}).map(([key, value]): [string, string] => [
        key,
        Buffer.from(value, 'base64').toString(),
      ]);
      return Object.fromEntries(decoded);
    };
    return Promise.all([read(credentialsName(cluster)), read(namesOf(cluster).internal)]);
  }
}

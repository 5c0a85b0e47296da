import { CONTROLLER_USER } from '../../mysql/names.ts';
import { initialSql, type Passwords } from '../../mysql/accounts.ts';
import type { MySQLCluster } from '../../spec/resource.ts';
import type { KeyPair } from '../certificates.ts';
import type { TlsNow } from '../tls.ts';
import { metaOf, namesOf, type KubernetesObject, type Ownership } from './object.ts';

/** Baton's own passwords, and those that people use, from one Secret or two. */
export type SecretValues = Readonly<Record<string, string>>;

/** The Secret that holds the passwords of root and of the application. */
export const credentialsName = (cluster: MySQLCluster): string =>
  cluster.spec.credentials.secretName ?? namesOf(cluster).credentials;

/** For people and applications. Null if the resource names a Secret of the user's: that is read and never written. */
export function credentialsSecret(
  cluster: MySQLCluster,
  passwords: Passwords,
  ownership: Ownership,
): KubernetesObject | null {
  const { secretName, applicationUser, database } = cluster.spec.credentials;
  if (secretName !== undefined) return null;
  return opaque(cluster, namesOf(cluster).credentials, ownership, {
    rootPassword: passwords.root,
    applicationPassword: passwords.application,
    // What an application needs beside its password, so that it can take everything from here.
    applicationUser,
    host: namesOf(cluster).primaryService,
    readHost: namesOf(cluster).readService,
    ...(database === undefined ? {} : { database }),
  });
}

/**
 * For members and operator only: Baton's own passwords, and the two files that are made of them: accounts.sql, which a
 * data directory is born with, and client.cnf, by which the supervisor asks its own mysqld.
 */
export function internalSecret(cluster: MySQLCluster, passwords: Passwords, ownership: Ownership): KubernetesObject {
  const { applicationUser, database } = cluster.spec.credentials;
  return opaque(cluster, namesOf(cluster).internal, ownership, {
    controllerPassword: passwords.controller,
    replicationPassword: passwords.replication,
    clonePassword: passwords.clone,
    // As they are in MySQL: one that differs from the Secret of the people's is due to be changed there.
    rootPassword: passwords.root,
    applicationPassword: passwords.application,
    'accounts.sql': initialSql(passwords, { user: applicationUser, database: database ?? null }),
    'client.cnf': `[client]\nuser=${CONTROLLER_USER}\npassword="${passwords.controller}"\n`,
  });
}

/** When what members show or trust was last changed, in milliseconds since 1970. */
export const TLS_CHANGED_ANNOTATION = 'baton.dev/changed';

/** In the shape that Kubernetes knows, and cert-manager makes. */
export function tlsSecret(cluster: MySQLCluster, now: TlsNow, ownership: Ownership): KubernetesObject {
  const secret = opaque(cluster, namesOf(cluster).tls, ownership, {
    'ca.crt': now.ca,
    'tls.crt': now.certificate,
    'tls.key': now.key,
  });
  const annotations = { [TLS_CHANGED_ANNOTATION]: String(now.changedMs) };
  return { ...secret, type: 'kubernetes.io/tls', metadata: { ...secret.metadata, annotations } };
}

/** The cluster's own authority. */
export const authoritySecret = (cluster: MySQLCluster, authority: KeyPair, ownership: Ownership): KubernetesObject =>
  opaque(cluster, namesOf(cluster).authority, ownership, { 'ca.crt': authority.certificate, 'ca.key': authority.key });

/**
 * The passwords that Secrets hold: those for people from theirs first. `generate` makes what is in neither; it is kept in
 * `NAME-internal`, whatever a user's own Secret lacks. A tutorial's `password` is taken for root's.
 *
 * @param credentials decoded values of the Secret that credentialsName names; null if there is none
 * @param internal decoded values of `NAME-internal`; null if there is none
 */
export function passwordsFrom(
  credentials: SecretValues | null,
  internal: SecretValues | null,
  generate: () => string,
): Passwords {
  const from = (values: SecretValues | null, ...keys: string[]): string | undefined =>
    keys
      // A text editor leaves a line break at the end of a file, and `kubectl create secret --from-file` keeps it.
      .map((key) => values?.[key]?.replace(/\r?\n$/, ''))
      .find((value) => value !== undefined && value !== '');
  const own = (key: string): string => from(internal, key) ?? generate();
  return {
    root: from(credentials, 'rootPassword', 'password') ?? own('rootPassword'),
    application: from(credentials, 'applicationPassword') ?? own('applicationPassword'),
    controller: own('controllerPassword'),
    replication: own('replicationPassword'),
    clone: own('clonePassword'),
  };
}

function opaque(cluster: MySQLCluster, name: string, ownership: Ownership, values: SecretValues): KubernetesObject {
  const data = Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: metaOf(cluster, name, ownership),
    type: 'Opaque',
    data: Object.fromEntries(data),
  };
}

// Places: where a hold or a purge is in the tree of an instance. Below an instance `group_uid` is set, below a group
// `secret_uid`; a version's place is that of its secret.

export interface Place {
  instance_uid: string;
  group_uid: string | null;
  secret_uid: string | null;
}

export const valuesOf = (p: Place) => [p.instance_uid, p.group_uid, p.secret_uid];

/** SQL: whether a row's place is above or below another, or the same. */
export const inLine = (row: string, instance: string, group: string, secret: string): string =>
  `${row}.instance_uid = ${instance} and (${row}.group_uid is null or ${group} is null or ${row}.group_uid = ${group})
    and (${row}.secret_uid is null or ${secret} is null or ${row}.secret_uid = ${secret})`;

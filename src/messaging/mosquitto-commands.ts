/** One command of Mosquitto's dynamic security plugin (its README, "API"); names are the plugin's. */
export type DynsecCommand =
  | { readonly command: 'createRole'; readonly rolename: string; readonly acls: readonly DynsecAcl[] }
  | { readonly command: 'deleteRole'; readonly rolename: string }
  | {
      readonly command: 'createClient';
      readonly username: string;
      readonly textname?: string;
      readonly roles: readonly { readonly rolename: string }[];
    }
  | { readonly command: 'deleteClient'; readonly username: string }
  | {
      readonly command: 'createGroup';
      readonly groupname: string;
      readonly roles: readonly { readonly rolename: string }[];
    }
  | { readonly command: 'deleteGroup'; readonly groupname: string }
  | {
      readonly command: 'addGroupClient' | 'removeGroupClient';
      readonly groupname: string;
      readonly username: string;
    };

/** One rule of a role. What no rule allows is denied. */
export interface DynsecAcl {
  readonly acltype: 'publishClientSend' | 'publishClientReceive' | 'subscribeLiteral' | 'subscribePattern';
  readonly topic: string;
  readonly allow: boolean;
  readonly priority: number;
}

/** The plugin's own topic. */
export const dynsecTopic = '$CONTROL/dynamic-security/v1';

/** Role that every enrolled agent has: writing to lobbies, reading news. */
export const agentsRole = 'agents';
/** Role of those who may change rights: it is as mighty as the broker's administrator. */
export const administratorsRole = 'administrators';

/** Rules of {@link agentsRole}. */
export const agentsAcls: readonly DynsecAcl[] = [
  allow('publishClientSend', 'td1/lobby/+'),
  allow('subscribePattern', 'td1/news/+/+'),
  allow('publishClientReceive', 'td1/news/+/+'),
];

/**
 * Rules of {@link administratorsRole}: the plugin's topic, and a coordinator's rights in every domain. They are not
 * given domain by domain, because the plugin breaks the connection of an account whose roles it changes.
 */
export const administratorsAcls: readonly DynsecAcl[] = [
  allow('publishClientSend', `${dynsecTopic}/#`),
  allow('publishClientReceive', `${dynsecTopic}/#`),
  allow('subscribePattern', `${dynsecTopic}/#`),
  ...memberAcls('+'),
  allow('publishClientSend', 'td1/+/log/#'),
];

/** Commands that make an account for an agent whose certificate has the CN `slug`. It has no password: TLS proves it. */
export function enrolCommands(slug: string, announces: boolean): DynsecCommand[] {
  const rolename = `agent-${slug}`;
  const acls = [
    allow('subscribeLiteral', `td1/lobby/${slug}`),
    allow('publishClientReceive', `td1/lobby/${slug}`),
    allow('subscribePattern', `td1/+/in/${slug}/+`),
    allow('publishClientReceive', `td1/+/in/${slug}/+`),
    ...(announces ? [allow('publishClientSend', `td1/news/${slug}/+`)] : []),
  ];
  return [
    { command: 'createRole', rolename, acls },
    { command: 'createClient', username: slug, roles: [{ rolename: agentsRole }, { rolename }] },
  ];
}

/**
 * Commands that open a domain. Its members share one group, so a member can publish under another member's name at
 * this broker (its dynamic security has no `%u` before 2.1); envelopes make that useless.
 */
export function openCommands(domain: string): DynsecCommand[] {
  const rolename = `domain-${domain}`;
  return [
    { command: 'createRole', rolename, acls: memberAcls(domain) },
    { command: 'createGroup', groupname: domain, roles: [{ rolename }] },
  ];
}

function memberAcls(domain: string): readonly DynsecAcl[] {
  const both = (tail: string) => [
    allow('subscribePattern', `td1/${domain}/${tail}`),
    allow('publishClientReceive', `td1/${domain}/${tail}`),
  ];
  return [
    ...both('m/#'),
    ...both('life/#'),
    ...both('log/#'),
    allow('publishClientSend', `td1/${domain}/m/+/+`),
    allow('publishClientSend', `td1/${domain}/in/+/+`),
    allow('publishClientSend', `td1/${domain}/life/+`),
  ];
}

/** Commands that end a domain: all members' rights at once, in one message. */
export function destroyCommands(domain: string): DynsecCommand[] {
  return [
    { command: 'deleteGroup', groupname: domain },
    { command: 'deleteRole', rolename: `domain-${domain}` },
  ];
}

function allow(acltype: DynsecAcl['acltype'], topic: string): DynsecAcl {
  return { acltype, topic, allow: true, priority: 0 };
}

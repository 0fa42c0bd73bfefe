import type { Command } from './command.ts';

/** A command by name: one line for the overview, and the file that is loaded when it is asked for. */
export interface Entry {
  readonly summary: string;
  load(): Promise<Command>;
}

/** Every command of `fealty`, in the order of the overview. */
export const commands: Readonly<Record<string, Entry>> = {
  'simulate rescue': {
    summary: 'a robot dog, a rescue vehicle and a console, from the TPM to the end of the task',
    load: async () => (await import('./simulate.ts')).rescue,
  },
  'simulate good-morning': {
    summary: 'a home hub, its routine and its house rules, across a year of mornings',
    load: async () => (await import('./simulate.ts')).goodMorning,
  },
  'agent run': {
    summary: 'run the agent of this robot, vehicle or console',
    load: async () => (await import('./agent-run.ts')).agentRun,
  },
  'agent check': {
    summary: 'read the configuration of an agent, and show it whole',
    load: async () => (await import('./agent-run.ts')).agentCheck,
  },
  'agent measure': {
    summary: 'what an agent will measure, for the reference values of its owner',
    load: async () => (await import('./agent-run.ts')).agentMeasure,
  },
  status: {
    summary: 'what the agent on this machine is, holds and does',
    load: async () => (await import('./status.ts')).status,
  },
  why: {
    summary: 'why an action was permitted or denied',
    load: async () => (await import('./why.ts')).why,
  },
  'audit verify': {
    summary: 'check an audit log against its signed checkpoints',
    load: async () => (await import('./audit.ts')).auditVerify,
  },
  'audit show': {
    summary: 'read an audit log',
    load: async () => (await import('./audit.ts')).auditShow,
  },
  'audit trace': {
    summary: 'follow a transaction or a task through several audit logs',
    load: async () => (await import('./audit.ts')).auditTrace,
  },
  'domain convene': {
    summary: 'open a task domain from this console and invite who is needed',
    load: async () => (await import('./domain.ts')).domainConvene,
  },
  'domain invite': {
    summary: 'invite one more agent into a task domain',
    load: async () => (await import('./domain.ts')).domainInvite,
  },
  'domain list': {
    summary: 'the task domains of this agent',
    load: async () => (await import('./domain.ts')).domainList,
  },
  'domain ask': {
    summary: 'ask a member of a task domain for an action on its device',
    load: async () => (await import('./domain.ts')).domainAsk,
  },
  'domain evict': {
    summary: 'throw a member out of a task domain',
    load: async () => (await import('./domain.ts')).domainEvict,
  },
  'domain end': {
    summary: 'end a task domain, and everything that was given for it',
    load: async () => (await import('./domain.ts')).domainEnd,
  },
  'authority init': {
    summary: 'make the keys and certificates of an owner’s authority',
    load: async () => (await import('./authority.ts')).authorityInit,
  },
  'authority serve': {
    summary: 'run the authority: registrar, verifier, registry, issuer, status',
    load: async () => (await import('./authority.ts')).authorityServe,
  },
  'authority trust': {
    summary: 'trust a maker, by its anchors',
    load: async () => (await import('./trust.ts')).authorityTrust,
  },
  'authority bind': {
    summary: 'take a device into the fleet, under an identifier',
    load: async () => (await import('./trust.ts')).authorityBind,
  },
  'authority reference': {
    summary: 'say what a good machine measures',
    load: async () => (await import('./trust.ts')).authorityReference,
  },
  'agents list': {
    summary: 'the agents that enrolled',
    load: async () => (await import('./agents.ts')).agentsList,
  },
  'agents revoke': {
    summary: 'end everything an agent has and will have',
    load: async () => (await import('./agents.ts')).agentsRevoke,
  },
  'agents remove': {
    summary: 'forget a device, so that it may enrol anew',
    load: async () => (await import('./agents.ts')).agentsRemove,
  },
  'broker serve': {
    summary: 'run the embedded MQTT broker',
    load: async () => (await import('./broker.ts')).brokerServe,
  },
  'grant add': {
    summary: 'let an agent ask for tokens with these authorization details',
    load: async () => (await import('./grant.ts')).grantAdd,
  },
  'grant list': {
    summary: 'what the owner has granted',
    load: async () => (await import('./grant.ts')).grantList,
  },
  'grant revoke': {
    summary: 'revoke by client, task, group, device or owner, everything at once',
    load: async () => (await import('./grant.ts')).grantRevoke,
  },
  'grant reopen': {
    summary: 'let tokens be issued again for what was revoked',
    load: async () => (await import('./grant.ts')).grantReopen,
  },
  'maker init': {
    summary: 'make the CAs and the voucher key of a maker',
    load: async () => (await import('./maker.ts')).makerInit,
  },
  'maker manufacture': {
    summary: 'put EK, IAK and IDevID certificates into a TPM',
    load: async () => (await import('./maker.ts')).makerManufacture,
  },
  'maker voucher': {
    summary: 'sell a device: the maker’s word who owns it',
    load: async () => (await import('./maker.ts')).makerVoucher,
  },
  'tpm serve': {
    summary: 'run a software TPM 2.0 that other people’s tools can talk to',
    load: async () => (await import('./tpm-serve.ts')).tpmServe,
  },
  'tpm info': {
    summary: 'what a TPM is and holds',
    load: async () => (await import('./tpm-info.ts')).tpmInfo,
  },
  'tpm keys': {
    summary: 'the keys in a TPM, and what each may do',
    load: async () => (await import('./tpm-keys.ts')).tpmKeys,
  },
  'tpm certs': {
    summary: 'the certificates in a TPM',
    load: async () => (await import('./tpm-certs.ts')).tpmCerts,
  },
  'tpm nv': {
    summary: 'the NV indices of a TPM, and the values of its counters',
    load: async () => (await import('./tpm-nv.ts')).tpmNv,
  },
  'tpm pcr': {
    summary: 'what was measured since the machine started',
    load: async () => (await import('./tpm-pcr.ts')).tpmPcr,
  },
  'tpm quote': {
    summary: 'have a TPM sign its PCRs, and verify that',
    load: async () => (await import('./tpm-quote.ts')).tpmQuote,
  },
  'tpm clear-lockout': {
    summary: 'is the TPM locked against guessing? forgive it',
    load: async () => (await import('./tpm-lockout.ts')).tpmClearLockout,
  },
  doctor: {
    summary: 'look for what would stop fealty from working on this machine',
    load: async () => (await import('./doctor.ts')).doctor,
  },
};

import type { AgentOptions } from '../agent/index.ts';
import type { Measurement } from '../attestation/index.ts';
import type { Platform } from '../core/platform.ts';
import { mosquittoAuthorizer } from '../messaging/mosquitto.ts';
import { openRobotTransport } from '../tpm/index.ts';
import type { AgentConfig } from './config.ts';
import { loadDevice } from './devices.ts';
import { readBytes, readText } from './files.ts';
import { measureConfiguration, measureDevice, measureProgram } from './measure.ts';

/** What the agent of this configuration measures before it uses it. @throws {BadFile} */
export async function measurementsOf(config: AgentConfig): Promise<readonly Measurement[]> {
  return [
    await measureProgram(),
    await measureConfiguration(config.file),
    ...(await Promise.all(config.devices.map(({ folder }) => measureDevice(folder)))),
  ];
}

/** The configuration as what an agent is made from: papers are read, code is measured and then loaded. */
export async function agentOptions(config: AgentConfig, platform: Platform): Promise<AgentOptions> {
  const { papers } = config;
  const measurements = await measurementsOf(config);
  return {
    platform,
    transport: openRobotTransport(config.tpm),
    papers: {
      aibom: await readBytes(papers.aibom),
      endorsement: await readText(papers.endorsement),
      binding: papers.binding === undefined ? undefined : await readText(papers.binding),
    },
    authority: config.authority,
    broker: config.broker,
    devices: await Promise.all(config.devices.map(loadDevice)),
    title: config.title,
    houseRules: config.houseRules,
    authorizationDetails: config.grants,
    streams: config.streams,
    measurements,
    trustClock: config.trustClock,
    syncMs: config.syncMs,
    ...(config.join === 'nobody'
      ? { joinPolicy: () => ({ join: false, reason: 'this agent joins nobody' }) as const }
      : {}),
    ...(config.brokerKind === 'mosquitto'
      ? { brokerRights: (link, slug) => mosquittoAuthorizer(link, slug, platform) }
      : {}),
  };
}

/** fealty: the agent, what it needs from its machine, and its errors. Nothing else. */
export type {
  AgentEvents,
  AgentOptions,
  Answer,
  ConveneRequest,
  Papers,
  StreamOptions,
} from './agent/index.ts';
export { Agent, VERSION } from './agent/index.ts';
export type { Remedy } from './core/errors.ts';
export { FealtyError } from './core/errors.ts';
export { nodePlatform } from './core/node.ts';
export type { Clock, Log, Network, Platform, Random, Store } from './core/platform.ts';

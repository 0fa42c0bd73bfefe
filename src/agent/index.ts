/** The runtime of a robot, a vehicle, a console. */
export { Agent } from './agent.ts';
export type { Answer, Ask } from './asking.ts';
export { ControlRefused } from './control.ts';
export { BadConfiguration, NotReady } from './errors.ts';
export type { AgentEvents } from './events.ts';
export type { ConveneRequest, Meeting } from './meeting.ts';
export type { AgentOptions, Papers, StreamOptions } from './options.ts';
export { VERSION } from './options.ts';
export type { KeptRequest } from './tokens.ts';

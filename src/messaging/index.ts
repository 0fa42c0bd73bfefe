/** Signed envelopes, topics and the MQTT link. */
export type { BrokerAuthorizer } from './authorizer.ts';
export { brokerAuthorizerOver } from './broker-control.ts';
export type { Content, Opened, OpenOptions, SealOptions } from './envelope.ts';
export { envelopeMax, open, seal } from './envelope.ts';
export type { MessageCheck } from './errors.ts';
export {
  BrokerRefused,
  ConnectRefused,
  LinkClosed,
  MessageRefused,
  PublishRefused,
  QueueFull,
  SessionEnded,
  SubscribeRefused,
  TopicRefused,
} from './errors.ts';
export type { Link, LinkEvents, LinkMessage, PublishOptions, Subscription, Will } from './link.ts';
export { payloadMax } from './link.ts';
export type { MosquittoAuthorizer } from './mosquitto.ts';
export { mosquittoAuthorizer } from './mosquitto.ts';
export type { MqttLinkOptions } from './mqtt-link.ts';
export { MqttLink } from './mqtt-link.ts';
export { EpochKeys, OwnSession, Peer, sessionKeyHash, sessionKeyId } from './session.ts';
export type { Topic } from './topics.ts';
export {
  inboxFilter,
  inboxTopic,
  isDomainId,
  isLevel,
  isSlug,
  lifeFilter,
  lifeTopic,
  lobbyTopic,
  logHeadTopic,
  logTopic,
  matches,
  multicastFilter,
  multicastTopic,
  newsTopic,
  parseTopic,
  readTopic,
  topicOf,
} from './topics.ts';
export { Window, windowSize } from './window.ts';

import { FealtyError } from '../core/errors.ts';

/** The check of `open` (or of `seal`, for the sizes) that a message failed, in the order in which they are made. */
export type MessageCheck =
  /** Not the bytes of an envelope: another structure, another algorithm, an unknown header. */
  | 'form'
  /** Larger than {@link envelopeMax}. */
  | 'size'
  /** The session key is nobody's on the roster. */
  | 'unknown-sender'
  /** The topic is not one on which this sender may speak, or not of this domain. */
  | 'topic'
  /** The epoch is one whose keys the receiver does not hold (not yet, or no longer). */
  | 'epoch'
  /** The sequence number was seen before, or lies behind the window. */
  | 'replay'
  /** The AEAD does not open: altered, moved to another topic, type, epoch, domain or sender, or an outsider's. */
  | 'seal'
  /** The countersignature is not the sender's: another member pretends to be it. */
  | 'signature'
  /** The content is not what an envelope carries. */
  | 'content'
  /** It was meant to be of use only until an earlier time. */
  | 'expired';

/** A message is refused; nothing of it may be used. */
export class MessageRefused extends FealtyError {
  override readonly code = 'messaging.message-refused';
  override readonly remedy = 'give-up';
  readonly check: MessageCheck;

  constructor(check: MessageCheck, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
  }
}

/** A session key has numbered 2^64 - 1 messages, or was closed: a new handshake makes a new one. */
export class SessionEnded extends FealtyError {
  override readonly code = 'messaging.session-ended';
  override readonly remedy = 'renew';
}

/** A topic from outside is not one of ours. */
export class TopicRefused extends FealtyError {
  override readonly code = 'messaging.topic-refused';
  override readonly remedy = 'give-up';
}

/** The broker does not accept this publish (MQTT 3.1.1 has no answer but closing the connection). */
export class PublishRefused extends FealtyError {
  override readonly code = 'messaging.publish-refused';
  override readonly remedy = 'give-up';
  readonly topic: string;

  constructor(topic: string, options?: ErrorOptions) {
    super(`the broker refuses a publish to \`${topic}\``, options);
    this.topic = topic;
  }
}

/** The broker does not grant this subscription (SUBACK 0x80). */
export class SubscribeRefused extends FealtyError {
  override readonly code = 'messaging.subscribe-refused';
  override readonly remedy = 'give-up';
  readonly filter: string;

  constructor(filter: string, options?: ErrorOptions) {
    super(`the broker refuses a subscription to \`${filter}\``, options);
    this.filter = filter;
  }
}

/** More messages wait than the link keeps; the publisher is faster than the broker, or the broker is away. */
export class QueueFull extends FealtyError {
  override readonly code = 'messaging.queue-full';
  override readonly remedy = 'retry';
}

/** The link was closed; what still waited was not sent. */
export class LinkClosed extends FealtyError {
  override readonly code = 'messaging.link-closed';
  override readonly remedy = 'give-up';
}

/** The broker refuses the connection itself (CONNACK return code 1 to 5, MQTT 3.1.1 §3.2.2.3). */
export class ConnectRefused extends FealtyError {
  override readonly code = 'messaging.connect-refused';
  override readonly remedy;
  /** CONNACK return code: 1 protocol, 2 client id, 3 unavailable, 4 password, 5 not authorized. */
  readonly returnCode: number;

  constructor(returnCode: number, options?: ErrorOptions) {
    super(`the broker refuses the connection with return code ${returnCode}`, options);
    this.returnCode = returnCode;
    this.remedy = returnCode === 3 ? ('retry' as const) : ('renew' as const);
  }
}

/** The broker's administration refuses to open, change or destroy a domain's rights. */
export class BrokerRefused extends FealtyError {
  override readonly code = 'messaging.broker-refused';
  override readonly remedy = 'give-up';
  /** Which check failed, in the broker's words: `grant`, `owner`, `domain`, `limit`, `form`, `unknown-agent`. */
  readonly check: string;

  constructor(check: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.check = check;
  }
}

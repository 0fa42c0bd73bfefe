/** Typed events: telling is all they do, nothing waits for a listener. */
export { EventEmitter } from 'eventemitter3';

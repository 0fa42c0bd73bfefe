// Stands for the entry point of `mqtt` in the bundled agent: its client alone, without the ways to connect by URL (web
// sockets, proxies, browsers), because the agent gives it a stream that is connected and handshaken.
import client from '../../node_modules/mqtt/build/lib/client.js';

export const MqttClient = client.default;

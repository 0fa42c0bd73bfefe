// Stands for what mqtt.js carries for browsers and proxies and for MQTT 5 (`ws`, `socks`, `worker-timers`, `lru-cache`) in the
// bundled agent, which speaks MQTT 3.1.1 over a TLS socket of its own. Whoever reaches it has found a way that should not be there.
function absent() {
  throw new Error('left out of the bundled agent');
}
// biome-ignore lint/style/noDefaultExport: what it stands for has one
export default absent;
export const SocksClient = absent;
export const WebSocket = absent;
export const WebSocketServer = absent;
export const Server = absent;
export const createWebSocketStream = absent;
export const setInterval = absent;
export const clearInterval = absent;
export const setTimeout = absent;
export const clearTimeout = absent;
export const LRUCache = absent;

// Stands for the `package.json` of mqtt.js in the bundled agent: its version is all that is asked of it, and told to a debugger alone.
module.exports = { version: 'bundled' };

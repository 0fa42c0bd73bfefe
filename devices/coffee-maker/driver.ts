import type { Device } from 'fealty/device';
import { controllerDevice } from 'fealty/device';
import { description } from './device.ts';

/** The real thing: moved by a controller that speaks the protocol of `controllerDevice`. */
export function device(options: { readonly url: string }): Device {
  return controllerDevice(description, options);
}

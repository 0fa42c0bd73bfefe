import type { Device, DeviceDescription, Driver, Position, Running } from './device.ts';

/**
 * A device whose hardware is moved by a controller that speaks JSON over HTTP, usually on loopback:
 *
 * - `GET /state` → `{ "<property>": value, … }`, polled;
 * - `POST /actions/<action>` with the arguments → 200 when a one-shot action is done, 202 when a continuous one started;
 * - `POST /feed` each control period while one runs; the controller stops by itself when it does not come (dead man);
 * - `POST /stop` → 200 when everything stands still;
 * - `GET /running` → `{ "running": true | false }`.
 *
 * @param options.url the controller, for example `http://127.0.0.1:8081`.
 * @param options.pollMs how often its state is read. Default: 200.
 */
export function controllerDevice(
  description: DeviceDescription,
  options: { readonly url: string; readonly pollMs?: number },
): Device {
  const base = options.url.replace(/\/$/, '');
  const period = description.controlPeriodMs ?? 100;
  return {
    description,
    open: async (context): Promise<Driver> => {
      const post = async (path: string, body: object, accepted: readonly number[]) => {
        const { status } = await context.http({
          method: 'POST',
          url: `${base}${path}`,
          body: JSON.stringify(body),
        });
        if (!accepted.includes(status))
          throw new Error(`the controller of \`${description.name}\` answered ${status} to ${path}`);
        return status;
      };
      let polling = false;
      const poll = async () => {
        // A slow controller is asked again only when it has answered; what it did not say in time is stale by itself.
        if (polling) return;
        polling = true;
        try {
          const { status, body } = await context.http({ method: 'GET', url: `${base}/state` });
          if (status === 200) report(JSON.parse(body));
        } catch {
          // Unreachable: nothing is reported, and conditions on its properties become unknown.
        } finally {
          polling = false;
        }
      };
      const report = (state: unknown) => {
        if (typeof state !== 'object' || state === null) return;
        for (const [property, value] of Object.entries(state))
          if (property in description.properties)
            context.reports.property(property, value as string | number | boolean | Position);
      };
      await poll();
      const endPolling = context.every(options.pollMs ?? 200, () => void poll());
      const stops = new Set<() => Promise<void>>();
      return {
        perform: async (action, input): Promise<Running | undefined> => {
          const path = description.actions[action]?.safe ? '/stop' : `/actions/${action}`;
          if ((await post(path, input, [200, 202])) === 200) return undefined;
          let finish = () => {};
          const done = new Promise<void>((resolve) => {
            finish = resolve;
          });
          let fed = true;
          let asking = false;
          const end = () => {
            cancel();
            stops.delete(stop);
            finish();
          };
          const cancel = context.every(period, () => {
            if (!fed || asking) return;
            fed = false;
            asking = true;
            context
              .http({ method: 'POST', url: `${base}/feed`, body: '{}' })
              .then(() => context.http({ method: 'GET', url: `${base}/running` }))
              .then(({ body }) => {
                if ((JSON.parse(body) as { running?: unknown }).running === false) end();
              })
              .catch(() => {}) // not fed: the controller's dead man stops it
              .finally(() => {
                asking = false;
              });
          });
          const stop = async () => {
            cancel();
            await post('/stop', {}, [200]);
            end();
          };
          stops.add(stop);
          return {
            feed: () => {
              fed = true;
            },
            stop,
            done,
          };
        },
        close: async () => {
          endPolling();
          await Promise.all([...stops].map((stop) => stop()));
        },
      };
    },
  };
}

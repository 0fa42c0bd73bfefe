import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { alarmAt, allDone, expectRefused } from './plot.ts';
import { berlin } from './words.ts';

/** Step 3: Friday, 07:00 and some seconds. */
export async function fridayStep(plot: Plot, { tell, expect, explain }: Telling): Promise<void> {
  const { house, level, target, cups, alarmS } = plot;
  const run = await alarmAt(plot, berlin('2026-10-16', `07:00:${String(alarmS).padStart(2, '0')}`));
  plot.friday = run;
  tell('house', `Friday, 07:00:${String(alarmS).padStart(2, '0')}: the alarm goes off`);
  for (const { device, action, result, reason } of run.results)
    expect(`${device}: ${action}`, result === 'done', reason);
  expect(
    `the light is at ${level} %, it gets ${target} °C, ${cups} cups brew, the blinds are open`,
    house.reported('bedroom-light', 'brightness') === level &&
      house.reported('thermostat', 'target') === target &&
      house.reported('coffee-maker', 'brewing') === true &&
      house.reported('coffee-maker', 'water') === Math.round((1.5 - cups * 0.15) * 100) / 100 &&
      house.reported('blinds', 'open') === 100,
  );
  explain(run.results[0]?.why.split('\n') ?? []);
}

/** Step 4: everything that is not a workday morning of somebody who is at home and was woken. */
export async function refusalStep(plot: Plot, telling: Telling): Promise<void> {
  const { house, alarmS } = plot;
  const { hub, twins } = house;
  const { tell, expect, explain } = telling;
  const seconds = String(alarmS).padStart(2, '0');

  const late = await alarmAt(plot, berlin('2026-10-16', '07:31'));
  expectRefused(telling, 'not at 07:31', late, 'condition', ['window=no']);
  const saturday = await alarmAt(plot, berlin('2026-10-17', `07:05:${seconds}`));
  expectRefused(telling, 'not on Saturday', saturday, 'condition', ['window=no']);

  await house.until(berlin('2026-10-19', '07:05'));
  tell('house', 'Monday, 07:05, and the alarm did not go off; somebody presses the button for the routine');
  const asked = await hub.run('good-morning');
  expectRefused(telling, 'not without the alarm', asked, 'condition', ['event=no']);

  twins.thermostat.sense('occupied', false);
  const away = await alarmAt(plot, berlin('2026-10-20', `07:05:${seconds}`));
  expectRefused(telling, 'not when nobody is at home', away, 'condition', ['state=no']);
  twins.thermostat.sense('occupied', true);

  const home = await alarmAt(plot, berlin('2026-10-21', '07:00:30'));
  twins.thermostat.mute(true);
  await house.until(berlin('2026-10-21', '07:04'));
  tell('house', 'Wednesday: the sensor that says who is at home has been silent for three minutes');
  const silent = await hub.run('good-morning');
  expect('silence is no permission: what was right at 07:00 …', allDone(home));
  expectRefused(telling, '… is refused at 07:04', silent, 'unknown', ['state=unknown']);
  twins.thermostat.mute(false);

  await hub.entrust('bright-morning');
  await alarmAt(plot, berlin('2026-10-22', `07:05:${seconds}`));
  const { results } = await hub.run('bright-morning');
  for (const { device, arguments: given, reason, why } of results) {
    const [[name, value] = []] = Object.entries(given ?? {});
    expect(`not more than granted: ${device} with ${name} ${value}`, reason === 'outside-grant', reason);
    if (device === 'bedroom-light') explain(why.split('\n'));
  }
  hub.withdraw('bright-morning');
}

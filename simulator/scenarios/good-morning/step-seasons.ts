import type { Telling } from '../story.ts';
import type { Plot } from './plot.ts';
import { alarmAt, allDone, expectRefused } from './plot.ts';
import { berlin } from './words.ts';

/** A weekend on which the clocks change: the workdays before and after, and the hour of UTC that 07:05 was before. */
const changes = [
  { name: 'October', friday: '2026-10-23', monday: '2026-10-26', before: '05:05', after: '06:05' },
  { name: 'March', friday: '2027-03-26', monday: '2027-03-29', before: '06:05', after: '05:05' },
] as const;

/** Step 6: 07:05 is 07:05 on both sides of both clock changes; months pass in between. */
export async function seasonStep(plot: Plot, telling: Telling): Promise<void> {
  const { house, renewed } = plot;
  const { tell, expect, figure } = telling;
  const begun = { ...renewed };
  for (const { name, friday, monday, before, after } of changes) {
    const utc = (day: string, time: string) => Date.parse(`${day}T${time}:00Z`);
    expect(
      `${name}: Friday’s 07:05 is ${before} UTC, Monday’s is ${after} UTC`,
      berlin(friday, '07:05') === utc(friday, before) && berlin(monday, '07:05') === utc(monday, after),
    );
    const fri = await alarmAt(plot, utc(friday, before));
    expect(`${friday}, 07:05 in the house: done`, allDone(fri), reasons(fri.results));
    tell('house', `the clocks change over the weekend, in ${name}`);
    // Whichever comes first on Monday.
    for (const time of [before, after].sort()) {
      const mon = await alarmAt(plot, utc(monday, time));
      const local = `${time} UTC, ${time === after ? '07:05' : name === 'October' ? '06:05' : '08:05'} in the house`;
      if (time === after) expect(`${monday}, ${local}: done`, allDone(mon), reasons(mon.results));
      else expectRefused(telling, `${monday}, ${local}: refused`, mon, 'condition', ['window=no']);
      house.twins.coffee.sense('water', 1.5);
    }
    if (name === 'October') tell('house', 'five months pass');
  }
  const credentials = renewed.credentials - begun.credentials;
  const tokens = renewed.tokens - begun.tokens;
  expect(
    'credentials and tokens renewed themselves all winter',
    credentials > 100 && tokens > 100,
    `${credentials} credentials, ${tokens} tokens`,
  );
  figure('credentialsRenewed', credentials);
  figure('tokensRenewed', tokens);
}

function reasons(results: readonly { readonly reason: string }[]): string {
  return [...new Set(results.map(({ reason }) => reason))].join(', ');
}

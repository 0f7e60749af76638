// A feed whose server can be told to lie: over a real store, in the form of the real one.

import { nextHead } from '../../src/restrictions/feed-head.ts';
import type { RestrictionFeed } from '../../src/restrictions/restriction-feed.ts';

export class ScriptedFeed {
  epoch = 'epoch-1';
  texts: string[] = [];
  page = 100;
  /** Changes what is answered; a throw is a connection that failed. */
  spoil: (feed: RestrictionFeed) => unknown = (feed) => feed;
  readonly asked: URL[] = [];

  fetch = async (url: URL): Promise<Buffer> => {
    this.asked.push(url);
    await new Promise((resolve) => setTimeout(resolve, 2));
    const after = Number(url.searchParams.get('after'));
    const known = url.searchParams.get('epoch') === this.epoch;
    const end = known ? Math.min(this.texts.length, after + this.page) : 0;
    return Buffer.from(
      JSON.stringify(
        this.spoil({
          epoch: this.epoch,
          last: this.texts.length,
          restrictions: known
            ? this.texts.slice(after, end).map((restriction, at) => ({ sequence: after + at + 1, restriction }))
            : [],
          head: this.texts.slice(0, Math.max(end, known ? Math.min(after, this.texts.length) : 0)).reduce(nextHead, ''),
          waited: 0,
        }),
      ),
    );
  };
}

/** One sentence for a tired reader, the list of what is wrong behind it, and whether the page is live. */
import type { Pipelines } from '../../api/pipelines';
import type { Tone } from '../../lib/fleet';
import { type Finding, headlineOf } from '../../lib/flowfindings';
import { formatDateTime } from '../../lib/timeformat';
import { formatCount } from '../../lib/units';
import { useView } from '../../state/view';

interface Props {
  data: Pipelines;
  found: readonly Finding[];
  live: 'live' | 'paused' | 'lost';
  onPause: () => void;
  onShow: (destination: string) => void;
}

/** More at once is not read. */
const MOST = 8;

const LIVE = {
  live: { word: 'Live', tone: 'good', title: 'Asked for every 2 seconds while it is looked at' },
  paused: { word: 'Paused', tone: 'warn', title: 'Nothing is asked for' },
  lost: { word: 'No answer', tone: 'bad', title: 'What is shown is from before; the node is asked again' },
} as const;

export function Headline({ data, found, live, onPause, onShow }: Props) {
  const { zone } = useView();
  const headline = headlineOf(data, found);
  const rest = found.filter((one) => one !== headline.of);
  const name = data.replica ? `${data.cluster}/${data.replica}` : data.cluster;
  const look = LIVE[live];
  return (
    <section className="panel pipeHeadline" aria-label="How it is" data-tone={headline.tone}>
      <div className="row pipeHeadlineTop">
        <h2 className="grow">
          <span className={`fresh ${headline.tone}`}>{headline.says}</span>
        </h2>
        {/* Said when it changes, and not with every number that moves. */}
        <span className="srOnly" role="status">
          {STATUS[headline.tone]}
        </span>
        <span className="soft pipeNode">
          {name} · <span className="data">{formatDateTime(data.timeMs, zone).slice(11)}</span>
        </span>
        <span className={`fresh ${look.tone}`} title={look.title}>
          {look.word}
        </span>
        <button type="button" className="btn" aria-pressed={live === 'paused'} onClick={onPause}>
          {live === 'paused' ? 'Go on' : 'Pause'}
        </button>
      </div>
      {headline.of?.next ? (
        <p className="pipeNext soft">
          {headline.of.next}
          {headline.of.destination ? (
            <>
              {' '}
              <button type="button" className="linkish" onClick={() => onShow(headline.of?.destination ?? '')}>
                Show {headline.of.destination}
              </button>
            </>
          ) : null}
        </p>
      ) : null}
      {rest.length > 0 ? (
        <ol className="pipeFindings" aria-label="What else there is to know, the worst first">
          {rest.slice(0, MOST).map((one, i) => (
            <li key={`${one.destination} ${one.rank} ${i}`}>
              <span className={`fresh ${one.tone}`}>
                {one.destination ? (
                  <button
                    type="button"
                    className="linkish"
                    aria-label={`Show ${one.destination}`}
                    onClick={() => onShow(one.destination)}
                  >
                    {one.destination}
                  </button>
                ) : null}
                {one.destination ? afterName(one) : one.says}
              </span>
              {one.next === (rest[i - 1] ?? headline.of)?.next ? null : <span className="soft"> {one.next}</span>}
            </li>
          ))}
          {found.length > MOST ? (
            <li className="soft">and {formatCount(rest.length - MOST)} more, less urgent</li>
          ) : null}
        </ol>
      ) : null}
    </section>
  );
}

const STATUS: Record<Tone, string> = {
  bad: 'Something needs somebody now.',
  warn: 'Something needs a look.',
  good: 'Nothing is wrong.',
  none: '',
};

/** A finding begins with the name, which is the link. */
function afterName(one: Finding): string {
  return one.says.startsWith(one.destination) ? one.says.slice(one.destination.length) : ` ${one.says}`;
}

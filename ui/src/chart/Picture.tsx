/**
 * A drawn thing with its words: a caption and a live line for those who listen, and a body that takes focus, keys and
 * pointer. What is drawn, and what the body says while a spot is looked at, is the caller's.
 */
import { type HTMLAttributes, type ReactNode, useId } from 'react';

interface Props extends Omit<HTMLAttributes<HTMLDivElement>, 'title'> {
  /** Class of the figure; the body's is the same with `Body` behind it. */
  name: string;
  /** What a screen reader calls it: "chart", "heat map". */
  kind: string;
  title: string;
  summary: string;
  /** Of the spot under the cursor; empty while there is none. */
  spoken: string;
  /** Below the body. */
  foot?: ReactNode;
}

export function Picture({ name, kind, title, summary, spoken, foot, children, ...body }: Props) {
  const caption = useId();
  return (
    <figure className={name} aria-labelledby={caption}>
      <figcaption id={caption} className="srOnly">
        {title}. {summary}
      </figcaption>
      <div
        className={`${name}Body`}
        role="group"
        aria-roledescription={kind}
        aria-label={`${title}. ${summary}`}
        tabIndex={0}
        {...body}
      >
        {children}
      </div>
      {foot}
      <div className="srOnly" aria-live="polite">
        {spoken}
      </div>
    </figure>
  );
}

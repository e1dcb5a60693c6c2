/**
 * A name that may be too long for its place: cut in the middle, since metric names of a family differ at their end.
 * Those who listen get it whole and once.
 */
interface Props {
  children: string;
}

/** Letters that always show at the end of a name. */
const TAIL = 12;

export function Name({ children: name }: Props) {
  if (name.length <= 2 * TAIL) return <span className="clip">{name}</span>;
  return (
    <>
      <span className="srOnly">{name}</span>
      <span className="nameCut" aria-hidden="true">
        <span className="clip">{name.slice(0, -TAIL)}</span>
        <span>{name.slice(-TAIL)}</span>
      </span>
    </>
  );
}

/** What the coverage of one answer leaves of the range that the page shows. */
import { useMemo } from 'react';
import type { Coverage } from '../api/coverage';
import { type Gap, gapsOf } from '../lib/gaps';
import { useView } from './view';

const NONE: readonly Gap[] = [];

export function useGaps(coverage: readonly Coverage[] | undefined): readonly Gap[] {
  const { range } = useView();
  const { fromMs, toMs } = range;
  return useMemo(() => {
    const found = coverage ? gapsOf(coverage, { fromMs, toMs }) : NONE;
    return found.length > 0 ? found : NONE;
  }, [coverage, fromMs, toMs]);
}

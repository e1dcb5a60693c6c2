import { toCsv } from '../lib/series';

interface Props {
  name: string;
  /** Called on click only: a large table is written out once it is wanted. */
  make: () => { header: string[]; rows: (string | number | null)[][] };
}

export function CsvButton({ name, make }: Props) {
  const save = () => {
    const { header, rows } = make();
    const url = URL.createObjectURL(new Blob([toCsv(header, rows)], { type: 'text/csv;charset=utf-8' }));
    const link = document.createElement('a');
    link.href = url;
    link.download = `${name.replace(/[^\w.-]+/g, '_').slice(0, 60) || 'orrery'}.csv`;
    link.click();
    URL.revokeObjectURL(url);
  };
  return (
    <button type="button" className="btn quiet" onClick={save}>
      CSV
    </button>
  );
}

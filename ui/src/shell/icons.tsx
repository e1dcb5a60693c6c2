/** The few marks of the frame, drawn on a 16-unit grid. They repeat a text beside them, so readers skip them. */
import type { ReactNode } from 'react';

function Mark({ children, size = 16 }: { children: ReactNode; size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.5"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

export const FleetIcon = () => (
  <Mark size={18}>
    <rect x="2" y="2.5" width="12" height="4.5" rx="1" />
    <rect x="2" y="9" width="12" height="4.5" rx="1" />
    <path d="M4.5 4.8h.01M4.5 11.3h.01M7 4.8h4.5M7 11.3h4.5" />
  </Mark>
);
export const MetricsIcon = () => (
  <Mark size={18}>
    <path d="M2 2v12h12" />
    <path d="M4.5 10.5l3-4 2.5 2.5 4-5.5" />
  </Mark>
);
export const LogsIcon = () => (
  <Mark size={18}>
    <path d="M2.5 3.5h1M6 3.5h7.5M2.5 8h1M6 8h7.5M2.5 12.5h1M6 12.5h5" />
  </Mark>
);
export const TracesIcon = () => (
  <Mark size={18}>
    <path d="M2 3.5h9M4.5 8h6M7.5 12.5H14" strokeWidth="2.4" />
  </Mark>
);
export const SearchIcon = () => (
  <Mark>
    <circle cx="7" cy="7" r="4.5" />
    <path d="M10.5 10.5L14 14" />
  </Mark>
);
export const RefreshIcon = () => (
  <Mark>
    <path d="M13.5 8a5.5 5.5 0 11-1.7-4M13.5 1.8v3h-3" />
  </Mark>
);
export const ClockIcon = () => (
  <Mark>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 4.5V8l2.5 1.5" />
  </Mark>
);
export const ZoomOutIcon = () => (
  <Mark>
    <circle cx="7" cy="7" r="4.5" />
    <path d="M10.5 10.5L14 14M5 7h4" />
  </Mark>
);
export const LeftIcon = () => (
  <Mark>
    <path d="M10 3L5 8l5 5" />
  </Mark>
);
export const RightIcon = () => (
  <Mark>
    <path d="M6 3l5 5-5 5" />
  </Mark>
);
export const SunIcon = () => (
  <Mark>
    <circle cx="8" cy="8" r="3" />
    <path d="M8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7" />
  </Mark>
);
export const MoonIcon = () => (
  <Mark>
    <path d="M13.5 9.5A6 6 0 016.5 2.5 6 6 0 1013.5 9.500z" />
  </Mark>
);
export const AutoIcon = () => (
  <Mark>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 2v12a6 6 0 000-12z" fill="currentColor" stroke="none" />
  </Mark>
);
export const OkIcon = () => (
  <Mark>
    <path d="M3 8.500l3.2 3.200L13 4.8" />
  </Mark>
);
export const WarnIcon = () => (
  <Mark>
    <path d="M8 2.200L14.5 13.500h-13zM8 6.500v3M8 11.700v.01" />
  </Mark>
);
export const HelpIcon = () => (
  <Mark>
    <circle cx="8" cy="8" r="6" />
    <path d="M6.3 6.200a1.8 1.8 0 113 1.500c-.8.5-1.3.8-1.3 1.600M8 11.500v.01" />
  </Mark>
);
export const CloseIcon = () => (
  <Mark>
    <path d="M4 4l8 8M12 4l-8 8" />
  </Mark>
);
export const PlusIcon = () => (
  <Mark>
    <path d="M8 3v10M3 8h10" />
  </Mark>
);
export const EyeIcon = () => (
  <Mark>
    <path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8z" />
    <circle cx="8" cy="8" r="1.8" />
  </Mark>
);
export const EyeOffIcon = () => (
  <Mark>
    <path d="M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8zM2.5 13.500l11-11" />
  </Mark>
);
export const InfoIcon = () => (
  <Mark>
    <circle cx="8" cy="8" r="6" />
    <path d="M8 7.3v3.5M8 5h.01" />
  </Mark>
);

/** Mantine draws only the frame (menus, popovers, dialogs); its colours are pointed at ours so both read one palette. */
import { createTheme, type CSSVariablesResolver } from '@mantine/core';

export const theme = createTheme({
  fontFamily: 'var(--font-ui)',
  fontFamilyMonospace: 'var(--font-data)',
  primaryColor: 'blue',
  defaultRadius: 'sm',
  cursorType: 'pointer',
  fontSizes: { xs: '11px', sm: '12px', md: '13px', lg: '14px', xl: '16px' },
  components: {
    Popover: { defaultProps: { transitionProps: { duration: 0 }, shadow: 'md' } },
    Menu: { defaultProps: { transitionProps: { duration: 0 }, shadow: 'md' } },
  },
});

const ours = {
  '--mantine-color-body': 'var(--surface)',
  '--mantine-color-text': 'var(--fg)',
  '--mantine-color-default': 'var(--surface)',
  '--mantine-color-default-hover': 'var(--hover)',
  '--mantine-color-default-color': 'var(--fg)',
  '--mantine-color-default-border': 'var(--line)',
  '--mantine-color-dimmed': 'var(--fg-faint)',
  '--mantine-color-placeholder': 'var(--fg-faint)',
};

export const variables: CSSVariablesResolver = () => ({ variables: {}, light: ours, dark: ours });

/** What somebody without rules is shown; a test holds that it is a rules file. */
export const RULES_EXAMPLE = `rules:
  - name: freezer-warm
    when: temperature above -15 for 5m
    clear: below -17
    device: freezer-*
    severity: critical`;

(() => [...document.querySelectorAll('details:not([open]) > :not(summary)')]
  .filter((e) => getComputedStyle(e).display !== 'none')
  .filter((e) => e.getBoundingClientRect().height === 0 || !e.checkVisibility({ contentVisibilityAuto: true }))
  .map((e) => e.outerHTML.slice(0, 200)))()

/* Memory that is free in the guest goes back to the host. */
#ifndef CAISSON_PAGE_REPORTING_H
#define CAISSON_PAGE_REPORTING_H

/* A container's process has started. If one still runs after some seconds, the guest reports its free memory from then on. */
void page_reporting_expect(void);

#endif

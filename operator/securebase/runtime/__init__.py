"""The running operator: watches, work queue, passes, sweeper, lease. The only importer of kopf."""

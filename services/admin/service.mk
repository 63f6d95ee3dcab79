admin.modules = base pb json flyte api rpc http gateway config service db bus store metrics loop

admin.modules = base pb json flyte compiler api rpc http gateway config service db bus store metrics loop

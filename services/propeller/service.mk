propeller.modules = base pb flyte config service db bus store metrics loop
